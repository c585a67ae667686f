/**
 * A board that may be unplugged and plugged in at any moment: a fresh port for each connection, HELLO on it, ECHO when it
 * is idle. The ECHO is also what notices a port that vanished under a read: the serial library then neither reports nor
 * ends anything until something is written (serialport/bindings-cpp issue 162).
 */
import { withDeadline } from '@rdv/protocol/core/deadline';
import { CanceledError, TimeoutError, toRdvError } from '@rdv/protocol/core/errors';
import { accepts, step } from '@rdv/protocol/core/machine';
import type { Clock, Logger, Random, Timer } from '@rdv/protocol/core/ports';
import { LineDownError } from './board-error.js';
import { type BoardEvent, type BoardState, boardMachine } from './board-machine.js';
import { REQUEST } from './codes.js';
import { NO_ANSWER } from './link.js';
import type { BytePipe, OpenPipe } from './pipe.js';
import type { Boot, Hello, OnAir } from './responses.js';
import { Session } from './session.js';

/** COMPANION.md §2: ECHO when idle for 0.5 to 1 s. */
const IDLE_MS = 700;
const OPEN_DEADLINE_MS = 5000;
const CLOSE_DEADLINE_MS = 2000;
const BACK_OFF_MS: readonly number[] = [50, 100, 200, 500, 1000];
/** A port where something else listens, time and again, is not to be talked at every second. */
const MUTE_PATIENCE = 3;
const MUTE_BACK_OFF_MAX_MS = 30_000;
/** A board that restarts without end fills no log. */
const SAY_AGAIN_MS = 1000;
/** Up for so long was a connection: the next back-off begins anew. */
const PROVEN_MS = 200;

export interface ConnectionOptions {
  /** The port, for people: `/dev/ttyACM0`. */
  readonly name: string;
  readonly openPipe: OpenPipe;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Default true. */
  readonly wantsEvents?: boolean;
}

export interface ConnectionListener {
  /** After each HELLO; `restarted`: the board has started since the last one, on this connection or before it. */
  onUp?(hello: Hello, restarted: boolean): void;
  onDown?(why: string): void;
  /** It was closed for good, on this side. */
  onClosed?(): void;
  onBoot?(boot: Boot): void;
  onAdvert?(onAir: OnAir): void;
}

export class Connection {
  readonly #options: ConnectionOptions;
  readonly #listeners = new Set<ConnectionListener>();
  #state: BoardState = boardMachine.initial;
  #pipe: BytePipe | undefined;
  #session: Session | undefined;
  #timer: Timer | undefined;
  /** Tells what comes late from an earlier connection. */
  #round = 0;
  #failures = 0;
  /** Connections in a row on which nobody said HELLO. */
  #mute = 0;
  #saidAt = Number.NEGATIVE_INFINITY;
  #connections = 0;
  #upAt = 0;
  #bootId: number | undefined;
  #why = 'it has not answered yet';
  #told: string | undefined;
  /** The last port may still be closing: the next one is opened after it. */
  #closing: Promise<void> = Promise.resolve();

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  /** Begins. Called once. */
  start(): void {
    this.#open();
  }

  get name(): string {
    return this.#options.name;
  }

  get state(): BoardState {
    return this.#state;
  }

  /** How often the board has come up. */
  get connections(): number {
    return this.#connections;
  }

  /** Why it is not up, for people. */
  get why(): string {
    return this.#why;
  }

  /** @throws LineDownError while the board is not up */
  get session(): Session {
    if (this.#state === 'up' && this.#session) return this.#session;
    throw new LineDownError(`the board on ${this.#options.name} cannot be reached: ${this.#why}`);
  }

  listen(listener: ConnectionListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Resolves once the board is up.
   * @throws LineDownError saying why it is not · CanceledError
   */
  ready(deadlineMs: number, signal?: AbortSignal): Promise<Hello> {
    if (this.#state === 'up' && this.#session) return Promise.resolve(this.#session.hello);
    if (this.#state === 'closed') return Promise.reject(new CanceledError('the board was closed'));
    let stop = (): void => {};
    const up = new Promise<Hello>((resolve, reject) => {
      stop = this.listen({ onUp: resolve, onClosed: () => reject(new CanceledError('the board was closed')) });
    });
    return withDeadline(this.#options.clock, deadlineMs, '', up, signal)
      .catch((error: unknown) => {
        if (!(error instanceof TimeoutError)) throw error;
        throw new LineDownError(`no board answers on ${this.#options.name}: ${this.#why}`);
      })
      .finally(stop);
  }

  #step(event: BoardEvent): void {
    // What comes late from a port that was given up concerns nobody.
    if (!accepts(boardMachine, this.#state, event)) return;
    const { to, effects } = step(boardMachine, this.#state, event);
    this.#state = to;
    for (const effect of effects) {
      switch (effect) {
        case 'open':
          this.#open();
          break;
        case 'greet':
          void this.#greet();
          break;
        case 'announce':
          this.#announce();
          break;
        case 'withdraw':
          this.#withdraw();
          break;
        case 'drop':
          this.#drop();
          break;
        case 'back-off':
          this.#backOff();
          break;
        case 'finish':
          this.#timer?.cancel();
          this.#tell((listener) => listener.onClosed?.());
          break;
      }
    }
  }

  #open(): void {
    const round = ++this.#round;
    const { clock, openPipe } = this.#options;
    const opening = this.#closing.then(openPipe);
    withDeadline(clock, OPEN_DEADLINE_MS, 'the port does not open: replug the board', opening).then(
      (pipe) => {
        if (this.#round !== round || this.#state !== 'opening') {
          void pipe.close();
          return;
        }
        this.#pipe = pipe;
        this.#step('opened');
      },
      (error: unknown) => {
        // It may still open, and must not stay so.
        opening.then((pipe) => pipe.close()).catch(() => {});
        if (this.#round !== round) return;
        this.#why = toRdvError(error).message;
        this.#mute = 0;
        this.#step('failed');
      },
    );
  }

  async #greet(): Promise<void> {
    const round = this.#round;
    const { clock, random, wantsEvents = true } = this.#options;
    try {
      const session = await Session.open({
        pipe: this.#pipe!,
        clock,
        random,
        wantsEvents,
        onDown: (reason) => this.#lost(round, reason),
        onHello: (hello) => this.#greeted(round, hello),
        onBoot: (boot) => this.#tell((listener) => listener.onBoot?.(boot)),
        onAdvert: (onAir) => this.#tell((listener) => listener.onAdvert?.(onAir)),
      });
      if (this.#round !== round || this.#state !== 'greeting') {
        session.close();
        return;
      }
      this.#session = session;
      this.#step('greeted');
    } catch (error) {
      this.#lost(round, toRdvError(error).message);
    }
  }

  /** A HELLO on a connection that is up: the board has restarted on it. */
  #greeted(round: number, hello: Hello): void {
    if (this.#round !== round || this.#state !== 'up') return;
    const restarted = this.#bootId !== hello.bootId;
    this.#bootId = hello.bootId;
    const now = this.#options.clock.monotonic();
    if (restarted && now - this.#saidAt >= SAY_AGAIN_MS) {
      this.#saidAt = now;
      this.#options.log.info('the board has restarted', { port: this.#options.name });
    }
    this.#tell((listener) => listener.onUp?.(hello, restarted));
  }

  #lost(round: number, reason: string): void {
    if (this.#round !== round) return;
    if (this.#state === 'greeting') this.#mute++;
    if (this.#state === 'greeting' && reason === NO_ANSWER) {
      this.#why = 'nothing there speaks the companion protocol: is the firmware flashed, and is it the right port?';
    } else if (this.#state === 'greeting' || this.#state === 'up') this.#why = reason;
    this.#step('lost');
  }

  #announce(): void {
    const { hello } = this.#session!;
    const restarted = this.#bootId !== undefined && this.#bootId !== hello.bootId;
    this.#bootId = hello.bootId;
    this.#connections++;
    this.#mute = 0;
    this.#upAt = this.#options.clock.monotonic();
    this.#told = undefined;
    this.#options.log.info('board up', { port: this.#options.name, restarted });
    this.#watch(this.#round);
    this.#tell((listener) => listener.onUp?.(hello, restarted));
  }

  /** ECHO whenever the line has been idle. */
  #watch(round: number): void {
    const { clock } = this.#options;
    const session = this.#session;
    if (this.#round !== round || this.#state !== 'up' || !session) return;
    const idleMs = clock.monotonic() - session.link.heardAt;
    this.#timer = clock.schedule(idleMs >= IDLE_MS ? IDLE_MS : IDLE_MS - idleMs, () => this.#watch(round));
    // Its failure is the line's, which is told by `onDown`.
    if (idleMs >= IDLE_MS && session.link.idle) session.request(REQUEST.echo).catch(() => {});
  }

  #withdraw(): void {
    if (this.#options.clock.monotonic() - this.#upAt >= PROVEN_MS) this.#failures = 0;
    this.#tell((listener) => listener.onDown?.(this.#why));
  }

  #drop(): void {
    this.#round++;
    this.#timer?.cancel();
    this.#session?.close();
    this.#session = undefined;
    const pipe = this.#pipe;
    this.#pipe = undefined;
    if (!pipe) return;
    this.#closing = withDeadline(this.#options.clock, CLOSE_DEADLINE_MS, 'the port does not close', pipe.close()).catch(
      (error: unknown) => this.#options.log.debug(toRdvError(error).message, { port: this.#options.name }),
    );
  }

  #backOff(): void {
    const { clock, log, name } = this.#options;
    const plugged = BACK_OFF_MS[Math.min(this.#failures++, BACK_OFF_MS.length - 1)]!;
    const mute = this.#mute - MUTE_PATIENCE;
    const inMs = mute < 0 ? plugged : Math.min(MUTE_BACK_OFF_MAX_MS, 1000 * 2 ** Math.min(mute, 10));
    // Said once, not every second.
    if (this.#told !== this.#why) log.warn('no board', { port: name, why: this.#why });
    this.#told = this.#why;
    this.#timer = clock.schedule(inMs, () => this.#step('wake'));
  }

  #tell(about: (listener: ConnectionListener) => void): void {
    for (const listener of [...this.#listeners]) about(listener);
  }

  /** Rejects what is pending. Idempotent; resolves when the port is free for others. */
  async close(): Promise<void> {
    this.#why = 'it was closed';
    this.#step('close');
    await this.#closing;
  }
}
