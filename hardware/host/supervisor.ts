/**
 * Keeps a radio host running: carries out `hostMachine`'s effects, watches beats, memory and quiet, and hands each
 * new host to the proxies. Knows nothing of processes: `spawn` makes a channel to a new host.
 */

import type { RdvError } from '@rdv/protocol/core/errors';
import { accepts, step } from '@rdv/protocol/core/machine';
import type { Clock, Logger, Timer } from '@rdv/protocol/core/ports';
import type { AdapterState } from '../radio/central.js';
import type { Attachment } from './attachment.js';
import type { Channel } from './channel.js';
import { type HostEffect, type HostEvent, type HostState, hostMachine } from './host-machine.js';
import { BEAT_MS, type Beat, type OpenMessage } from './messages.js';
import type { RemoteCentral } from './remote-central.js';
import type { RemotePeripheral } from './remote-peripheral.js';
import { HostSession } from './session.js';

/** A host has this long to open its adapter. */
/** Most of it is for a slow machine that starts a process and loads the stacks; the controller has deadlines of its own. */
const OPEN_DEADLINE_MS = 30_000;
/** Beats missed in a row that make it wedged. Ticks are counted, not time, so that a sleepy node blames nobody. */
const BEATS_MISSED_MAX = 6;
/** Nothing heard for so long while scanning: the controller is asked. */
const QUIET_MS = 30_000;
const ASK_DEADLINE_MS = 5000;
const FIRST_BACK_OFF_MS = 100;
const LAST_BACK_OFF_MS = 60_000;
/** Up for so long, the next failure counts as the first. */
const STABLE_MS = 60_000;
/** After this many replacements a refusal is put down to the wish. */
const REFUSALS_MAX = 2;
/** From this replacement on the adapter counts as down rather than recovering. */
const DOWN_FROM = 4;
const MEMORY_MAX_BYTES: number = 400 * 1024 * 1024;

export interface HostHealth {
  readonly state: AdapterState;
  /** The host's process, while there is one. */
  readonly pid: number | undefined;
  /** Hosts started so far. */
  readonly starts: number;
  /** Replacements since the adapter was last up for a minute. */
  readonly failures: number;
  /** Advertising reports of any kind in this host's life. */
  readonly reports: number;
  /** Adverts dropped in this host's life because the node was behind. */
  readonly advertsDropped: number;
  readonly links: number;
  /** Milliseconds since anything was heard; undefined while nobody wants to hear. */
  readonly quietMs: number | undefined;
  /** Resident memory of the host in bytes, 0 while there is none. */
  readonly rssBytes: number;
  /** Why the last host was replaced, for people. */
  readonly lastFailure: string | undefined;
}

export interface SupervisorOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** Starts a host; the channel's close ends it, by force if it does not go. */
  spawn(): Channel;
  readonly open: Omit<OpenMessage, 't'>;
  readonly attachment: Attachment;
  readonly central: RemoteCentral | undefined;
  readonly peripheral: RemotePeripheral | undefined;
  /** Every end of a host before it was ever up. */
  onStartFailure(error: RdvError | undefined, reason: string): void;
}

export class HostSupervisor {
  readonly #options: SupervisorOptions;
  #state: HostState = hostMachine.initial;
  #session: HostSession | undefined;
  #starts = 0;
  #failures = 0;
  #lastFailure: string | undefined;
  #openError: RdvError | undefined;
  #upSince = 0;
  #beat: Beat | undefined;
  #missed = 0;
  #quietSince = 0;
  #quietReports = 0;
  /** Unlike `#quietSince` not moved by the controller's answers. */
  #heardAt = 0;
  #heardReports = 0;
  #timers: { start?: Timer; tick?: Timer; wake?: Timer } = {};

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  get health(): HostHealth {
    return {
      state: this.#options.attachment.state,
      pid: this.#session?.pid,
      starts: this.#starts,
      failures: this.#failures,
      reports: this.#beat?.reports ?? 0,
      advertsDropped: this.#beat?.dropped ?? 0,
      links: this.#beat?.links ?? 0,
      quietMs: this.#options.central?.scanning ? this.#options.clock.monotonic() - this.#heardAt : undefined,
      rssBytes: this.#beat?.rssBytes ?? 0,
      lastFailure: this.#lastFailure,
    };
  }

  start(): void {
    this.#run('spawn');
  }

  /** Lets the host go in order (advertising and scanning off), then ends it. Idempotent. */
  async close(): Promise<void> {
    if (this.#state === 'closed') return;
    const session = this.#session;
    if (this.#state === 'up' || this.#state === 'asking') {
      this.#timers.tick?.cancel();
      await session?.call({ m: 'close' }, ASK_DEADLINE_MS, { what: 'close' }).catch(() => {});
    }
    this.#event('close', 'closed');
  }

  #event(event: HostEvent, reason: string): void {
    if (!accepts(hostMachine, this.#state, event)) return;
    const transition = step(hostMachine, this.#state, event, (line) => this.#options.log.debug(line, { reason }));
    this.#state = transition.to;
    if (event === 'lost' || event === 'wedged' || event === 'unanswered') this.#lastFailure = reason;
    for (const effect of transition.effects) this.#run(effect, reason);
  }

  #run(effect: HostEffect, reason = ''): void {
    switch (effect) {
      case 'spawn':
        this.#spawn();
        return;
      case 'attach':
        this.#attach();
        return;
      case 'restore':
        void this.#restore();
        return;
      case 'ask':
        void this.#ask();
        return;
      case 'detach':
        this.#options.attachment.detach();
        return;
      case 'kill':
        this.#kill(reason);
        return;
      case 'back-off':
        this.#backOff(reason);
        return;
      case 'finish':
        this.#timers.wake?.cancel();
        this.#options.attachment.setState('closed');
        return;
    }
  }

  #spawn(): void {
    const { clock, open, attachment } = this.#options;
    this.#starts++;
    this.#openError = undefined;
    let channel: Channel;
    try {
      channel = this.#options.spawn();
    } catch (error) {
      this.#timers.start = clock.schedule(0, () => this.#event('lost', `cannot start a radio host: ${String(error)}`));
      return;
    }
    const session: HostSession = new HostSession(channel, clock, {
      opened: (slots) => {
        this.#options.peripheral?.counted(slots, slots);
        this.#event('opened', 'opened');
      },
      failed: (error) => {
        this.#openError = error;
        this.#event('lost', error.message);
      },
      link: (link) => this.#options.peripheral?.linked(link),
      advert: (advert) => this.#options.central?.heard(advert),
      beat: (beat) => this.#heardBeat(beat),
      wedged: (why) => this.#event('wedged', why),
    });
    this.#session = session;
    channel.onClose((why) => {
      if (this.#session === session) this.#event('lost', why);
    });
    if (this.#starts > 1) attachment.setState(this.#failures >= DOWN_FROM ? 'down' : 'recovering');
    session.post({ t: 'open', ...open });
    this.#timers.start = clock.schedule(OPEN_DEADLINE_MS, () =>
      this.#event('wedged', 'the radio host did not open its adapter in time'),
    );
  }

  #attach(): void {
    const { clock, attachment } = this.#options;
    this.#timers.start?.cancel();
    this.#upSince = clock.monotonic();
    this.#missed = 0;
    this.#beat = undefined;
    this.#listenAnew(0);
    this.#heardNow(0);
    this.#timers.tick = clock.schedule(BEAT_MS, () => this.#tick());
    if (this.#starts > 1) this.#options.log.info('the adapter is back', { starts: this.#starts });
    attachment.setState('up');
    if (this.#session) attachment.attach(this.#session);
  }

  /**
   * Tells the host what is wanted of it. One that refuses is replaced, too; when even new ones refuse, the wish is
   * at fault, and the rest of the adapter's work goes on.
   */
  async #restore(): Promise<void> {
    const session = this.#session;
    if (!session) return;
    try {
      await this.#options.central?.restore(session);
      await this.#options.peripheral?.restore(session);
    } catch (error) {
      if (this.#session !== session) return;
      if (this.#failures > REFUSALS_MAX)
        this.#options.log.warn('the adapter refuses what it did before', { error: String(error) });
      else this.#event('wedged', error instanceof Error ? error.message : 'it cannot do what it did before');
    }
  }

  async #ask(): Promise<void> {
    const session = this.#session;
    if (!session) return;
    try {
      await session.call({ m: 'probe' }, ASK_DEADLINE_MS, { what: 'ask the controller' });
      this.#listenAnew(this.#beat?.reports ?? 0);
      this.#event('answered', 'nothing to hear');
    } catch (error) {
      if (this.#session === session) this.#event('unanswered', error instanceof Error ? error.message : 'no answer');
    }
  }

  #kill(reason: string): void {
    this.#timers.start?.cancel();
    this.#timers.tick?.cancel();
    const session = this.#session;
    this.#session = undefined;
    session?.end(reason);
  }

  #backOff(reason: string): void {
    const { clock, log, attachment } = this.#options;
    if (this.#upSince > 0 && clock.monotonic() - this.#upSince >= STABLE_MS) this.#failures = 0;
    const everUp = this.#upSince > 0;
    this.#upSince = 0;
    this.#beat = undefined;
    const waitMs = Math.min(LAST_BACK_OFF_MS, FIRST_BACK_OFF_MS * 2 ** Math.min(this.#failures, 16));
    this.#failures++;
    attachment.setState(this.#failures >= DOWN_FROM ? 'down' : 'recovering');
    log.warn('the radio host is replaced', { reason, inMs: waitMs, failures: this.#failures });
    this.#timers.wake = clock.schedule(waitMs, () => this.#event('wake', 'back-off over'));
    if (!everUp) this.#options.onStartFailure(this.#openError, reason);
  }

  #heardBeat(beat: Beat): void {
    this.#missed = 0;
    this.#beat = beat;
    this.#options.peripheral?.counted(this.#options.peripheral.slots, beat.freeSlots);
    if (beat.reports > this.#quietReports) this.#listenAnew(beat.reports);
    if (beat.reports !== this.#heardReports) this.#heardNow(beat.reports);
    if (beat.rssBytes > MEMORY_MAX_BYTES) this.#event('wedged', 'the radio host takes too much memory');
  }

  #listenAnew(reports: number): void {
    this.#quietSince = this.#options.clock.monotonic();
    this.#quietReports = reports;
  }

  #heardNow(reports: number): void {
    this.#heardAt = this.#options.clock.monotonic();
    this.#heardReports = reports;
  }

  #tick(): void {
    const { clock, central } = this.#options;
    this.#timers.tick = clock.schedule(BEAT_MS, () => this.#tick());
    if (++this.#missed > BEATS_MISSED_MAX) {
      this.#event('wedged', 'the radio host shows no sign of life');
      return;
    }
    if (!central?.scanning) {
      this.#listenAnew(this.#quietReports);
      this.#heardNow(this.#heardReports);
    } else if (clock.monotonic() - this.#quietSince >= QUIET_MS) this.#event('quiet', 'nothing heard for 30 s');
  }
}
