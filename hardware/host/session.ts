/**
 * The node's side of one radio host's life: calls and their answers, links, adverts, beats. It ends with the host;
 * the next host gets a new one. What has to survive hosts lives in `RemoteCentral` and `RemotePeripheral`.
 */
import { withDeadline } from '@rdv/protocol/core/deadline';
import { CanceledError, RdvError, TimeoutError } from '@rdv/protocol/core/errors';
import type { Clock } from '@rdv/protocol/core/ports';
import type { HeardAdvert } from '../radio/central.js';
import type { Channel } from './channel.js';
import { ADVERT_CREDITS, type Beat, type Call, checkFromHost, type FromHost, type ToHost } from './messages.js';
import { RemoteLink } from './remote-link.js';

/** Links under way in one host: more is a host gone mad. */
const LINKS_MAX = 64;

export interface SessionEvents {
  opened(slots: number): void;
  failed(error: RdvError): void;
  link(link: RemoteLink): void;
  advert(advert: HeardAdvert): void;
  beat(beat: Beat): void;
  wedged(reason: string): void;
}

interface Pending {
  resolve(value: number | undefined): void;
  reject(error: RdvError): void;
}

export class HostSession {
  readonly #channel: Channel;
  readonly #clock: Clock;
  readonly #events: SessionEvents;
  readonly #calls = new Map<number, Pending>();
  /** Connects given up here that the host may still answer. */
  readonly #abandoned = new Set<number>();
  readonly #links = new Map<number, RemoteLink>();
  #nextCall = 1;
  #advertsTaken = 0;
  #ended: string | undefined;

  constructor(channel: Channel, clock: Clock, events: SessionEvents) {
    this.#channel = channel;
    this.#clock = clock;
    this.#events = events;
    channel.onMessage((message) => this.#receive(message));
  }

  /** The host's process, where it is one. */
  get pid(): number | undefined {
    return this.#channel.pid;
  }

  post(message: ToHost): void {
    if (this.#ended === undefined) this.#channel.send(message);
  }

  /**
   * @throws TimeoutError when the host has not answered within `deadlineMs`: it is then wedged, too ·
   *   CanceledError · RdvError what the host answered; `adapter` when it ends meanwhile
   */
  async call(
    call: Call,
    deadlineMs: number,
    options: { signal?: AbortSignal; what: string },
  ): Promise<number | undefined> {
    if (this.#ended !== undefined) throw new RdvError('adapter', `${options.what}: ${this.#ended}`);
    const id = this.#nextCall++;
    const answer = new Promise<number | undefined>((resolve, reject) => this.#calls.set(id, { resolve, reject }));
    this.#channel.send({ t: 'call', id, call } satisfies ToHost);
    try {
      return await withDeadline(
        this.#clock,
        deadlineMs,
        `${options.what}: no answer within ${deadlineMs} ms`,
        answer,
        options.signal,
      );
    } catch (error) {
      // Still listed here means that it was not the host that answered so.
      const unanswered = this.#calls.has(id);
      if (unanswered && call.m === 'connect') this.#abandoned.add(id);
      if (unanswered && error instanceof CanceledError) this.post({ t: 'cancel', id });
      if (unanswered && error instanceof TimeoutError) this.#events.wedged(error.message);
      throw error;
    } finally {
      this.#calls.delete(id);
    }
  }

  /** The link that a `connect` answered with. */
  link(id: number | undefined): RemoteLink | undefined {
    return id === undefined ? undefined : this.#links.get(id);
  }

  /** Idempotent: closes every link with `reason` and rejects every call. */
  end(reason: string): void {
    if (this.#ended !== undefined) return;
    this.#ended = reason;
    for (const call of this.#calls.values()) call.reject(new RdvError('adapter', `the radio host ended: ${reason}`));
    this.#calls.clear();
    for (const link of this.#links.values()) link.ended(reason);
    this.#links.clear();
    this.#channel.close();
  }

  #receive(raw: unknown): void {
    if (this.#ended !== undefined) return;
    let message: FromHost;
    try {
      message = checkFromHost(raw);
    } catch (error) {
      this.#events.wedged(error instanceof Error ? error.message : 'bad message');
      return;
    }
    this.#take(message);
  }

  #take(message: FromHost): void {
    switch (message.t) {
      case 'opened':
        this.#events.opened(message.slots);
        return;
      case 'failed':
        this.#events.failed(new RdvError(message.code, message.message));
        return;
      case 'done':
        this.#done(message.id, message.value);
        return;
      case 'error':
        this.#refused(message.id, errorOf(message.code, message.message));
        return;
      case 'link':
        this.#linkOpened(message);
        return;
      case 'resize':
        this.#links.get(message.link)?.resized(message.maxPacketBytes);
        return;
      case 'packet':
        this.#links.get(message.link)?.received(message.data);
        return;
      case 'credit':
        this.#links.get(message.link)?.credited(message.count);
        return;
      case 'closed': {
        const link = this.#links.get(message.link);
        this.#links.delete(message.link);
        link?.ended(message.reason);
        return;
      }
      case 'advert':
        this.#advert(message.advert);
        return;
      case 'beat':
        this.#events.beat(message);
        return;
      case 'wedged':
        this.#events.wedged(message.reason);
        return;
    }
  }

  #done(id: number, value: number | undefined): void {
    this.#settle(id)?.resolve(value);
    // A connection that came about after its call was given up belongs to nobody.
    if (this.#abandoned.delete(id)) this.link(value)?.close();
  }

  #refused(id: number, error: RdvError): void {
    this.#abandoned.delete(id);
    this.#settle(id)?.reject(error);
  }

  #settle(id: number): Pending | undefined {
    const call = this.#calls.get(id);
    this.#calls.delete(id);
    return call;
  }

  #linkOpened(message: FromHost & { t: 'link' }): void {
    if (this.#links.size >= LINKS_MAX || this.#links.has(message.link)) {
      this.#events.wedged('too many links, or one twice');
      return;
    }
    const link = new RemoteLink(
      message.link,
      message.maxPacketBytes,
      message.localAddress,
      (out) => this.post(out),
      (id) => this.call({ m: 'rssi', link: id }, 5000, { what: 'rssi' }).catch(() => undefined),
    );
    this.#links.set(message.link, link);
    if (message.side === 'peripheral') this.#events.link(link);
  }

  #advert(advert: HeardAdvert): void {
    this.#events.advert(advert);
    this.#advertsTaken++;
    if (this.#advertsTaken < ADVERT_CREDITS / 2) return;
    this.post({ t: 'advert-credit', count: this.#advertsTaken });
    this.#advertsTaken = 0;
  }
}

function errorOf(code: RdvError['code'], message: string): RdvError {
  if (code === 'timeout') return new TimeoutError(message);
  if (code === 'canceled') return new CanceledError(message);
  return new RdvError(code, message);
}
