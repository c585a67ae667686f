/**
 * One connection from call to ready link (SPEC §9): connect, find the service, subscribe; every step under one
 * deadline, for none of noble's calls ever settles when the other side goes away. What is left behind on failure is
 * taken down: a pending connect is cancelled and its end awaited, a connection that came too late is dropped.
 */
import type { CentralKit } from '@rdv/hardware/host/adapter-module';
import { NOTIFY_UUID, WRITE_UUID } from '@rdv/protocol/core/constants';
import { withDeadline } from '@rdv/protocol/core/deadline';
import { CanceledError, RdvError, TimeoutError } from '@rdv/protocol/core/errors';
import { RDV_SERVICE } from './noble-advert.js';
import type { NobleCharacteristic, NobleConnectParameters, NoblePeripheral, NobleService } from './noble-api.js';
import { NobleLink } from './noble-link.js';

/** 7.5 to 22.5 ms, no latency, 2 s: the 420 ms that noble asks by itself drop links on busy radios. */
const PARAMETERS: NobleConnectParameters = { minInterval: 6, maxInterval: 18, latency: 0, timeout: 200 };
/** The controller says how a cancelled connect ended, and how a disconnect did, within this time. */
const AFTERMATH_MS = 4000;

const WRITE: string = WRITE_UUID.replaceAll('-', '');
const NOTIFY: string = NOTIFY_UUID.replaceAll('-', '');

/** Disconnect reasons worth telling apart (Core Vol 1 Part F). */
const REASONS: Readonly<Record<number, string>> = {
  8: 'out of range, or the other side went silent',
  19: 'the other side ended it',
  20: 'the other side has no room',
  21: 'the other side was switched off',
  22: 'closed here',
  62: 'the connection was never established',
};

export class NobleConnection {
  readonly #kit: CentralKit;
  readonly #peripheral: NoblePeripheral;
  readonly #onGone: () => void;
  #link: NobleLink | undefined;
  #connected = false;
  #gone = false;
  #givenUp = false;
  #reason = '';
  #notifyChange: () => void = () => {};

  /** @param onGone called once when nothing of the connection is left: noble may be asked to connect again */
  constructor(kit: CentralKit, peripheral: NoblePeripheral, onGone: () => void) {
    this.#kit = kit;
    this.#peripheral = peripheral;
    this.#onGone = onGone;
    peripheral.on('connect', (error) => this.#connectEnded(error));
    peripheral.on('disconnect', (reason) => this.#disconnected(reason));
  }

  /** The link, while there is one. */
  get link(): NobleLink | undefined {
    return this.#link;
  }

  /** @throws TimeoutError · CanceledError · RdvError `unreachable` */
  async open(deadlineMs: number, signal: AbortSignal | undefined): Promise<NobleLink> {
    try {
      return await withDeadline(this.#kit.clock, deadlineMs, 'the beacon did not answer in time', this.#open(), signal);
    } catch (error) {
      await this.#giveUp(error);
      throw error;
    }
  }

  /** Ends whatever there is. Resolves when the controller has said so, or is given up on. */
  async close(reason: string): Promise<void> {
    this.#link?.ended(reason);
    await this.#giveUp(new CanceledError(reason));
  }

  async #open(): Promise<NobleLink> {
    this.#peripheral.connect(PARAMETERS);
    await this.#until(() => this.#connected);
    const handle = this.#kit.flow.handleOf(this.#peripheral.address.toLowerCase());
    if (handle === undefined) throw new RdvError('adapter', 'a connection without a handle');
    const services = await this.#answer<readonly NobleService[]>((done) => {
      this.#peripheral.once('servicesDiscover', done);
      this.#peripheral.discoverServices([RDV_SERVICE]);
    });
    const service = services.find((candidate) => candidate.uuid === RDV_SERVICE);
    if (!service) throw new RdvError('unreachable', 'the device does not offer the RDV service');
    const found = await this.#answer<readonly NobleCharacteristic[]>((done) => {
      service.once('characteristicsDiscover', done);
      service.discoverCharacteristics([WRITE, NOTIFY]);
    });
    const write = found.find((candidate) => candidate.uuid === WRITE);
    const notify = found.find((candidate) => candidate.uuid === NOTIFY);
    if (!write || !notify) throw new RdvError('unreachable', 'the device does not offer the RDV service');
    const link = new NobleLink({
      clock: this.#kit.clock,
      peripheral: this.#peripheral,
      write,
      flow: this.#kit.flow,
      handle,
      disconnect: () => void this.#giveUp(new CanceledError()),
    });
    this.#link = link;
    // Listens before it subscribes: the peripheral may speak at once.
    notify.on('data', (data, isNotification) => {
      if (isNotification) link.received(data);
    });
    await this.#answer<boolean>((done) => {
      notify.once('notify', done);
      notify.subscribe();
    });
    return link;
  }

  /** The result of one of noble's requests; rejects when the connection ends meanwhile. */
  async #answer<T>(ask: (done: (result: T) => void) => void): Promise<T> {
    let result: { value: T } | undefined;
    ask((value) => {
      result = { value };
      this.#notifyChange();
    });
    await this.#until(() => result !== undefined);
    return result!.value;
  }

  /** Resolves when `holds`; rejects when the connection is gone. One waits at a time. */
  #until(holds: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const check = (): void => {
        if (this.#gone) reject(new RdvError('unreachable', this.#reason));
        else if (this.#givenUp) reject(new CanceledError());
        else if (holds()) resolve();
      };
      this.#notifyChange = check;
      check();
    });
  }

  #connectEnded(error: unknown): void {
    if (this.#gone) return;
    if (error) {
      // While giving up, noble's own announcement of the cancel comes first; the controller's answer follows.
      if (this.#givenUp && this.#peripheral.state === 'connecting') return;
      this.#finish(`the connection failed: ${error instanceof Error ? error.message : 'no reason given'}`);
      return;
    }
    this.#connected = true;
    if (this.#givenUp) this.#peripheral.disconnect();
    else this.#notifyChange();
  }

  #disconnected(reason: unknown): void {
    this.#finish((typeof reason === 'number' && REASONS[reason]) || 'the connection ended');
  }

  #finish(reason: string): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#reason = reason;
    this.#peripheral.removeAllListeners();
    this.#link?.ended(reason);
    this.#notifyChange();
    this.#onGone();
  }

  async #giveUp(cause: unknown): Promise<void> {
    if (this.#gone) return;
    if (!this.#givenUp) {
      this.#givenUp = true;
      this.#notifyChange();
      this.#link?.ended(cause instanceof Error ? cause.message : 'closed here');
      if (this.#connected) this.#peripheral.disconnect();
      else this.#peripheral.cancelConnect();
    }
    const gone = new Promise<void>((resolve) => {
      const before = this.#notifyChange;
      this.#notifyChange = () => {
        before();
        if (this.#gone) resolve();
      };
    });
    try {
      await withDeadline(this.#kit.clock, AFTERMATH_MS, 'aftermath', gone);
    } catch (error) {
      if (!(error instanceof TimeoutError)) throw error;
      this.#finish('the controller does not say how the connection ended');
      this.#kit.wedged('a connection does not end when told to');
    }
  }
}
