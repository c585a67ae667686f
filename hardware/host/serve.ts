/**
 * The host's side: speaks for the vendor adapters (`Central`, `Peripheral`) over a channel. Runs in the child
 * (`child.ts`); what it cannot do any more it says (`wedged`), and the node replaces it.
 */
import { CanceledError, RdvError, toRdvError } from '@rdv/protocol/core/errors';
import type { Clock, Timer } from '@rdv/protocol/core/ports';
import type { PacketPipe } from '@rdv/protocol/link/pipe';
import type { CentralLink, HeardAdvert, Scan } from '../radio/central.js';
import type { PeripheralLink } from '../radio/peripheral.js';
import type { AssembledRadio } from './adapter-module.js';
import type { Channel } from './channel.js';
import { ADVERT_CREDITS, BEAT_MS, type Call, checkToHost, type FromHost, fitText, type ToHost } from './messages.js';
import { ServedLink } from './served-link.js';

export interface ServeOptions {
  readonly clock: Clock;
  /** Resident memory in bytes. */
  memory(): number;
  /** Called after a `close` call was answered. */
  onClosed(): void;
}

export class RadioServer {
  readonly #channel: Pick<Channel, 'send'>;
  readonly #radio: AssembledRadio;
  readonly #options: ServeOptions;
  readonly #links = new Map<number, ServedLink>();
  readonly #running = new Map<number, AbortController>();
  #nextLink = 1;
  #scan: Scan | undefined;
  #advertCredits = ADVERT_CREDITS;
  #dropped = 0;
  #beat: Timer | undefined;

  constructor(channel: Pick<Channel, 'send'>, radio: AssembledRadio, options: ServeOptions) {
    this.#channel = channel;
    this.#radio = radio;
    this.#options = options;
  }

  /** Says `opened` and serves from then on. */
  start(): void {
    this.#radio.peripheral?.onLink((link) => this.#serveLink(link, 'peripheral'));
    this.#radio.onFreeSlots(() => this.#sendBeat());
    this.#post({ t: 'opened', slots: this.#radio.peripheral?.slots ?? 0 });
    this.#beatOn();
  }

  /** One message from the node. */
  receive(raw: unknown): void {
    const message: ToHost = checkToHost(raw);
    switch (message.t) {
      case 'call':
        void this.#answer(message.id, message.call);
        return;
      case 'cancel':
        this.#running.get(message.id)?.abort(new CanceledError());
        return;
      case 'packet':
        this.#links.get(message.link)?.toAir(message.data);
        return;
      case 'credit':
        this.#links.get(message.link)?.credited(message.count);
        return;
      case 'close-link':
        this.#links.get(message.link)?.pipe.close('closed by the node');
        return;
      case 'advert-credit':
        this.#advertCredits = Math.min(ADVERT_CREDITS, this.#advertCredits + message.count);
        return;
      case 'open':
        throw new RdvError('protocol-violation', 'the radio host is open already');
    }
  }

  async #answer(id: number, call: Call): Promise<void> {
    const abort = new AbortController();
    this.#running.set(id, abort);
    try {
      const value = await this.#do(call, abort.signal);
      this.#post({ t: 'done', id, ...(value !== undefined && { value }) });
      if (call.m === 'close') this.#options.onClosed();
    } catch (thrown) {
      const error = toRdvError(thrown);
      this.#post({ t: 'error', id, code: error.code, message: fitText(error.message) });
    } finally {
      this.#running.delete(id);
    }
  }

  async #do(call: Call, signal: AbortSignal): Promise<number | undefined> {
    switch (call.m) {
      case 'scan':
        await this.#scan?.stop();
        this.#scan = await this.#central().scan((advert) => this.#heard(advert), call);
        return undefined;
      case 'stop-scan':
        await this.#scan?.stop();
        this.#scan = undefined;
        return undefined;
      case 'connect': {
        const peer = { address: call.address, type: call.type };
        const link = await this.#central().connect(peer, { deadlineMs: call.deadlineMs, signal });
        return this.#serveLink(link, 'central');
      }
      case 'rssi': {
        const link = this.#links.get(call.link)?.pipe as Partial<CentralLink> | undefined;
        return await link?.rssi?.();
      }
      case 'advertise':
        await this.#peripheral().advertise(call.advertisement);
        return undefined;
      case 'stop-advertising':
        await this.#peripheral().stopAdvertising();
        return undefined;
      case 'probe':
        await this.#radio.probe();
        return undefined;
      case 'close':
        this.#beat?.cancel();
        await this.#radio.close();
        return undefined;
    }
  }

  #central(): NonNullable<AssembledRadio['central']> {
    if (this.#radio.central) return this.#radio.central;
    throw new RdvError('unsupported', 'this adapter was opened without the central role');
  }

  #peripheral(): NonNullable<AssembledRadio['peripheral']> {
    if (this.#radio.peripheral) return this.#radio.peripheral;
    throw new RdvError('unsupported', 'this adapter was opened without the peripheral role');
  }

  #serveLink(pipe: PacketPipe, side: 'central' | 'peripheral'): number {
    const id = this.#nextLink++;
    const localAddress = side === 'peripheral' ? (pipe as PeripheralLink).localAddress : undefined;
    const open = { t: 'link', link: id, side, maxPacketBytes: pipe.maxPacketBytes } as const;
    const link = new ServedLink(id, pipe, localAddress ? { ...open, localAddress } : open, (out) => this.#post(out));
    this.#links.set(id, link);
    pipe.onClose((reason) => {
      this.#links.delete(id);
      this.#post({ t: 'closed', link: id, reason: fitText(reason) });
    });
    return id;
  }

  #heard(advert: HeardAdvert): void {
    if (this.#advertCredits === 0) {
      this.#dropped++;
      return;
    }
    this.#advertCredits--;
    this.#post({ t: 'advert', advert });
  }

  #beatOn(): void {
    this.#sendBeat();
    this.#beat = this.#options.clock.schedule(BEAT_MS, () => this.#beatOn());
  }

  #sendBeat(): void {
    for (const link of this.#links.values()) link.checkSize();
    this.#post({
      t: 'beat',
      reports: this.#radio.reports(),
      dropped: this.#dropped,
      freeSlots: this.#radio.peripheral?.freeSlots ?? 0,
      links: this.#links.size,
      rssBytes: this.#options.memory(),
    });
  }

  #post(message: FromHost): void {
    this.#channel.send(message);
  }
}
