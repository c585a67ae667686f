/**
 * One GATT server slot: one bleno instance on one port of the multiplexer, serving one central at a time (SPEC §9).
 * What a bleno gets wrong and this puts right: its callbacks outlive the session they came from; `mtu` keeps the
 * previous client's value; `unsubscribe` comes before `disconnect`; a client that never subscribes stays for ever.
 */
import type { SlotPort } from '@rdv/hardware/host/adapter-module';
import { NOTIFY_UUID, SERVICE_UUID, WRITE_UUID } from '@rdv/protocol/core/constants';
import type { Clock, Timer } from '@rdv/protocol/core/ports';
import { ATT_SUCCESS, ATT_UNLIKELY, type Bleno, bareUuid } from './bleno-api.js';
import { BlenoLink } from './bleno-link.js';

/** A central has this long to subscribe. */
const SUBSCRIBE_DEADLINE_MS = 10_000;
/** A disconnect ends within the longest supervision timeout there is (32 s), or the stack is broken. */
const DISCONNECT_DEADLINE_MS = 35_000;
/** The only connection of a slot always has this handle: the multiplexer's promise. */
const HANDLE = 1;

interface Session {
  readonly localAddress: Uint8Array | undefined;
  mtu: number | undefined;
  link: BlenoLink | undefined;
  timer: Timer | undefined;
}

export interface BlenoSlotOptions {
  readonly clock: Clock;
  readonly port: SlotPort;
  onLink(link: BlenoLink): void;
  wedged(reason: string): void;
}

export class BlenoSlot {
  readonly #bleno: Bleno;
  readonly #options: BlenoSlotOptions;
  #session: Session | undefined;
  #localAddress: Uint8Array | undefined;

  constructor(bleno: Bleno, options: BlenoSlotOptions) {
    this.#bleno = bleno;
    this.#options = options;
  }

  get free(): boolean {
    return this.#session === undefined;
  }

  /** Puts the service up and starts to serve. The instance is powered on. */
  serve(): void {
    const bleno = this.#bleno;
    bleno.on('accept', () => this.#accepted());
    bleno.on('disconnect', () => this.#disconnected());
    bleno.on('mtuChange', (mtu) => this.#mtuChanged(mtu));
    this.#options.port.flow.onCompleted(() => this.#session?.link?.drained(this.#options.port.flow.completed(HANDLE)));
    const write = new bleno.Characteristic({
      uuid: bareUuid(WRITE_UUID),
      properties: ['write', 'writeWithoutResponse'],
      onWriteRequest: (data, offset, _withoutResponse, done) => {
        const link = this.#session?.link;
        // Answered within the call: an answer kept for later could reach the next client.
        done(link && offset === 0 ? ATT_SUCCESS : ATT_UNLIKELY);
        if (offset === 0) link?.received(data);
      },
    });
    const notify = new bleno.Characteristic({
      uuid: bareUuid(NOTIFY_UUID),
      properties: ['notify'],
      onSubscribe: (_max, send) => this.#subscribed(send),
      onUnsubscribe: () => this.#unsubscribed(),
    });
    bleno.setServices([new bleno.PrimaryService({ uuid: bareUuid(SERVICE_UUID), characteristics: [write, notify] })]);
  }

  /** The multiplexer gave this slot a central; bleno hears of it next. */
  taken(localAddress: Uint8Array | undefined): void {
    this.#localAddress = localAddress;
  }

  /** Drops the central, if there is one. */
  close(reason: string): void {
    const session = this.#session;
    if (!session) return;
    if (session.link) session.link.close(reason);
    else this.#drop(session);
  }

  #accepted(): void {
    this.#disconnected();
    const session: Session = { localAddress: this.#localAddress, mtu: undefined, link: undefined, timer: undefined };
    this.#session = session;
    session.timer = this.#options.clock.schedule(SUBSCRIBE_DEADLINE_MS, () => this.#drop(session));
  }

  #mtuChanged(mtu: number): void {
    if (this.#session) this.#session.mtu = mtu;
  }

  #subscribed(send: (value: Buffer) => void): void {
    const session = this.#session;
    if (!session) return;
    // Some phones write the same subscription again: it changes nothing.
    if (session.link) return;
    session.timer?.cancel();
    session.timer = undefined;
    const notify = (value: Buffer): void => {
      if (this.#session === session) send(value);
    };
    const completed = this.#options.port.flow.completed(HANDLE);
    session.link = new BlenoLink(session.localAddress, {
      completed,
      mtu: () => session.mtu,
      transmit: notify,
      disconnect: () => this.#drop(session),
    });
    this.#options.onLink(session.link);
  }

  /** bleno says so at the end of every connection, too, just before it says that. */
  #unsubscribed(): void {
    const session = this.#session;
    queueMicrotask(() => {
      if (this.#session === session) session?.link?.close('the other side unsubscribed');
    });
  }

  #disconnected(): void {
    const session = this.#session;
    if (!session) return;
    this.#session = undefined;
    session.timer?.cancel();
    session.link?.ended('the connection ended');
  }

  #drop(session: Session): void {
    if (this.#session !== session) return;
    session.timer?.cancel();
    session.timer = this.#options.clock.schedule(DISCONNECT_DEADLINE_MS, () =>
      this.#options.wedged('a connection does not end when told to'),
    );
    this.#bleno.disconnect();
  }
}
