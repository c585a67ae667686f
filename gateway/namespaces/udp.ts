/**
 * The namespace that needs nobody (SPEC §13): datagrams to everybody on the link. Publishers answer look-ups themselves;
 * frames go to everybody, or straight to whoever was heard to hold the queue. Nothing is acknowledged here: records are
 * asked for again, and conversations send again what was lost (SPEC §7).
 */
import { assertBytes, toHex } from '@rdv/protocol/core/bytes';
import { ID_BYTES, KEY_BYTES, LINK_MESSAGE_MAX_BYTES, QUEUE_BYTES } from '@rdv/protocol/core/constants';
import { CanceledError, InvalidArgumentError, RdvError, throwIfAborted } from '@rdv/protocol/core/errors';
import type { Surroundings } from '@rdv/protocol/core/ports';
import { Stateful } from '@rdv/protocol/core/stateful';
import type { LinkFrame } from '@rdv/protocol/link/frames';
import type { Interest, InterestListener } from '@rdv/protocol/namespace/interest';
import type {
  BridgePolicy,
  CarryOptions,
  FrameListener,
  LookupQuery,
  Namespace,
  NamespaceState,
  PutOptions,
  RecordListener,
  Subscription,
  Watch,
  WatchOptions,
} from '@rdv/protocol/namespace/port';
import { RecordShelf, type ShelvedRecord } from '@rdv/protocol/namespace/record-shelf';
import { UdpAnnouncer } from './udp-announcer.js';
import { UdpAnswers } from './udp-answers.js';
import { UdpAsking } from './udp-asking.js';
import { ONE_DATAGRAM_FRAME_BYTES } from './udp-codec.js';
import { UdpHolders } from './udp-holders.js';
import { asksFor, UdpLookups } from './udp-lookups.js';
import { type Heard, type MediumCounts, UdpMedium } from './udp-medium.js';
import type { DatagramPort } from './udp-port.js';

export interface UdpNamespaceOptions extends Surroundings {
  readonly port: DatagramPort;
  /** Default `udp:`. */
  readonly name?: string;
  /** A bridge's end: it keeps records of others, and what it asks is followed by no bridge. Default false. */
  readonly gateway?: boolean;
}

/** Records of others that a bridge keeps. */
const MIRRORED_MAX = 4096;
const QUEUES_MAX = 4096;
/** A publisher is alone with its record: it need not wait for others. */
const KEYED_SPREAD_MS = 20;
/** Several bridges may have the same. */
const BY_ID_SPREAD_MS = 80;

interface Held {
  readonly queue: Uint8Array;
  readonly listeners: Set<FrameListener>;
  readonly here: boolean;
}

export class UdpNamespace extends Stateful<NamespaceState> implements Namespace, Interest {
  readonly name: string;
  readonly maxFrameBytes: number = LINK_MESSAGE_MAX_BYTES;
  readonly preferredFrameBytes: number = ONE_DATAGRAM_FRAME_BYTES;
  readonly unchecked = false;
  readonly answersById = false;
  readonly #options: UdpNamespaceOptions;
  readonly #gateway: boolean;
  readonly #medium: UdpMedium;
  readonly #shelf: RecordShelf;
  readonly #holders: UdpHolders;
  readonly #lookups: UdpLookups;
  readonly #answers: UdpAnswers;
  readonly #asking: UdpAsking;
  readonly #announcer: UdpAnnouncer;
  readonly #held = new Map<string, Held>();
  readonly #observers = new Set<InterestListener>();
  readonly #whenUp = new Set<{ resolve(): void; reject(error: RdvError): void }>();
  /** Of the records put here: what bridges may carry of queues for which nothing else is said. */
  #policy: BridgePolicy = 'any';

  constructor(options: UdpNamespaceOptions) {
    super(options.port.up ? 'up' : 'down');
    const { port, clock, random } = options;
    this.#options = options;
    this.#gateway = options.gateway ?? false;
    this.name = options.name ?? 'udp:';
    this.#shelf = new RecordShelf(clock, MIRRORED_MAX);
    this.#holders = new UdpHolders(clock);
    this.#lookups = new UdpLookups(clock);
    this.#medium = new UdpMedium(port, options, this.#gateway, (heard) => this.#onHeard(heard));
    this.#answers = new UdpAnswers(options, (record) => this.#say([{ type: 'record', request: 1, record }]));
    this.#asking = new UdpAsking({
      clock,
      random,
      ask: (get) => void this.#medium.ask(get).catch(() => {}),
      cancel: (request) => this.#say([{ type: 'cancel', request }]),
      mayShow: (idName) => this.#mayShow(idName),
    });
    this.#announcer = new UdpAnnouncer(options, {
      gateway: this.#gateway,
      say: (frames, here) => this.#say(frames, here),
      queues: () => [...this.#held.values()],
      offers: () => (this.#gateway ? [] : this.#shelf.own().filter(({ bridge }) => bridge === 'any')),
    });
    port.onUp((up) => this.#onUp(up));
    if (this.state === 'up') this.#announcer.begin();
  }

  /** Why it is down, for people. */
  get lastError(): RdvError | undefined {
    if (this.state !== 'down') return undefined;
    return new RdvError('unreachable', `${this.name} has no network interface that is up: see "ip address"`);
  }

  /** What was not taken of what came. */
  get counts(): MediumCounts {
    return this.#medium.counts;
  }

  async put(record: Uint8Array, options: PutOptions = {}): Promise<void> {
    assertBytes('record', record);
    throwIfAborted(options.signal);
    const copy = record.slice();
    if (this.state !== 'up') await this.#becomeUp(options.signal);
    const { lookupKey, bridge } = options;
    const shelved = this.#shelf.put(copy, this.#gateway ? { own: false } : { own: true, lookupKey, bridge });
    if (!shelved) return;
    if (this.#shelf.own().length > 0) this.#policy = this.#shelf.openness;
    this.#asking.heard(shelved.record.bytes, true);
    const { id, bytes } = shelved.record;
    if (this.#lookups.wanted(id, shelved.lookupKey)) this.#answers.ask(bytes, 0);
    if (shelved.own && shelved.bridge === 'any') this.#announcer.offer(shelved);
  }

  watch(query: LookupQuery, onRecord: RecordListener, options: WatchOptions = {}): Watch {
    assertBytes('id', query.id, ID_BYTES);
    if (query.lookupKey) assertBytes('lookupKey', query.lookupKey, KEY_BYTES);
    this.#assertOpen();
    const watch = this.#asking.watch(query, onRecord, options);
    for (const { record } of this.#shelf.under(query.id)) this.#asking.heard(record.bytes, true);
    return watch;
  }

  subscribe(queue: Uint8Array, onFrame: FrameListener, options: CarryOptions = {}): Subscription {
    assertBytes('queue', queue, QUEUE_BYTES);
    this.#assertOpen();
    const name = toHex(queue);
    let held = this.#held.get(name);
    if (!held) {
      if (this.#held.size >= QUEUES_MAX)
        throw new RdvError('quota', `more than ${QUEUES_MAX} subscriptions: close some first`);
      held = { queue: queue.slice(), listeners: new Set(), here: this.#staysHere(options) };
      this.#held.set(name, held);
      this.#announcer.subscribed(held);
    }
    const holder = held;
    const mine: FrameListener = (frame) => onFrame(frame);
    holder.listeners.add(mine);
    const close = (): void => {
      if (!holder.listeners.delete(mine) || holder.listeners.size > 0) return;
      this.#held.delete(name);
      this.#say([{ type: 'unsub', request: 1, queue: holder.queue }], holder.here);
    };
    return { ready: Promise.resolve(), close };
  }

  async send(queue: Uint8Array, frame: Uint8Array, options: CarryOptions = {}): Promise<void> {
    assertBytes('queue', queue, QUEUE_BYTES);
    assertBytes('frame', frame);
    if (frame.length === 0 || frame.length > this.maxFrameBytes)
      throw new InvalidArgumentError(`"frame" expected 1 to ${this.maxFrameBytes} bytes, got ${frame.length}`);
    this.#assertOpen();
    if (this.state !== 'up') throw new RdvError('unreachable', 'no network interface is up at the moment');
    const name = toHex(queue);
    this.#announcer.sayNew();
    this.#deliver(name, frame);
    const here = this.#staysHere(options);
    const peers = this.#holders.direct(name);
    if (!peers) {
      await this.#medium.send([{ type: 'send', request: 1, queue, frame }], { here });
      return;
    }
    const frames: LinkFrame[] = [{ type: 'deliver', request: 1, queue, frame }];
    await Promise.all(peers.map((to) => this.#medium.send(frames, { to, here })));
  }

  /** As an end on the link hears it (SPEC §9.6). For a bridge's end: others do not keep so much. */
  observe(listener: InterestListener): () => void {
    this.#observers.add(listener);
    const stops = [this.#lookups.observe(listener), this.#holders.observe(listener)];
    return () => {
      this.#observers.delete(listener);
      for (const stop of stops) stop();
    };
  }

  async close(): Promise<void> {
    if (this.state === 'closed') return;
    const queues = [...this.#held.values()];
    this.#held.clear();
    this.#asking.close();
    this.#announcer.close(queues);
    this.become('closed');
    for (const { reject } of this.#whenUp) reject(closedError());
    this.#whenUp.clear();
    this.#answers.close();
    this.#holders.close();
    this.#lookups.close();
    this.#observers.clear();
    await this.#options.port.close();
  }

  #onHeard(heard: Heard): void {
    if (this.state === 'closed') return;
    const { peer, sender, gateway, here } = heard;
    this.#holders.alive(sender, peer);
    if (gateway) this.#announcer.bridgeHeard(sender);
    for (const frame of heard.frames) {
      switch (frame.type) {
        case 'get':
          this.#onGet(heard, frame);
          break;
        case 'cancel':
          this.#lookups.cancel(sender, frame.request);
          break;
        case 'record':
          this.#answers.heard(frame.record);
          this.#asking.heard(frame.record);
          break;
        case 'sub':
          this.#holders.sub(toHex(frame.queue), sender, peer, gateway ? 'bridge' : here ? 'here' : 'shown');
          break;
        case 'unsub':
          this.#holders.unsub(toHex(frame.queue), sender);
          break;
        case 'put':
          if (!gateway && !here) for (const observer of [...this.#observers]) observer.onPut(frame.record);
          break;
        case 'send':
        case 'deliver':
          this.#onFrame(heard, frame);
          break;
        default:
          this.counts.malformed++;
      }
    }
  }

  #onFrame({ sender, gateway, here }: Heard, { type, queue, frame }: LinkFrame & { type: 'send' | 'deliver' }): void {
    const name = toHex(queue);
    // What its publisher keeps from bridges, a bridge does not take.
    if (!(this.#gateway && here)) this.#deliver(name, frame);
    if (type === 'deliver' || gateway || here || this.#holders.takes(name, sender)) return;
    for (const observer of [...this.#observers]) observer.onSend(queue, frame);
  }

  #onGet({ sender, peer, gateway, binding }: Heard, { request, query }: LinkFrame & { type: 'get' }): void {
    if (!this.#lookups.hear(sender, request, peer, { query, binding, shown: !gateway })) return;
    if (query.kind === 'id') {
      for (const one of this.#shelf.under(query.id))
        if (this.#answersId(one, gateway)) this.#answers.ask(one.record.bytes, BY_ID_SPREAD_MS);
      return;
    }
    for (const { record, lookupKey } of this.#shelf.own())
      if (lookupKey && asksFor(query.mac, binding, lookupKey)) this.#answers.ask(record.bytes, KEYED_SPREAD_MS);
  }

  /** Who has the key is asked by it; bridges, which have none, for what they may carry. */
  #answersId({ lookupKey, bridge }: ShelvedRecord, gateway: boolean): boolean {
    return lookupKey === undefined || (gateway && bridge === 'any');
  }

  #mayShow(idName: string): boolean {
    return !this.#shelf.own().some(({ record, bridge }) => bridge !== 'any' && toHex(record.id) === idName);
  }

  #staysHere({ bridge }: CarryOptions): boolean {
    return !this.#gateway && (bridge ?? this.#policy) !== 'any';
  }

  #deliver(name: string, frame: Uint8Array): void {
    const held = this.#held.get(name);
    for (const listener of held?.listeners ?? []) {
      const copy = frame.slice();
      void Promise.resolve().then(() => {
        if (held?.listeners.has(listener)) listener(copy);
      });
    }
  }

  #say(frames: readonly LinkFrame[], here = false): void {
    if (this.state === 'up') this.#medium.send(frames, { here }).catch(() => {});
  }

  #onUp(up: boolean): void {
    if (this.state === 'closed' || (this.state === 'up') === up) return;
    this.become(up ? 'up' : 'down');
    if (!up) return;
    for (const { resolve } of this.#whenUp) resolve();
    this.#whenUp.clear();
    this.#announcer.begin();
    this.#asking.again();
  }

  #becomeUp(signal: AbortSignal | undefined): Promise<void> {
    if (this.state === 'closed') return Promise.reject(closedError());
    return new Promise((resolve, reject) => {
      const over = (): void => {
        this.#whenUp.delete(waiting);
        signal?.removeEventListener('abort', onAbort);
      };
      const onAbort = (): void => {
        over();
        reject(new CanceledError());
      };
      const waiting = {
        resolve: () => {
          over();
          resolve();
        },
        reject: (error: RdvError) => {
          over();
          reject(error);
        },
      };
      this.#whenUp.add(waiting);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  #assertOpen(): void {
    if (this.state === 'closed') throw closedError();
  }
}

function closedError(): CanceledError {
  return new CanceledError('the namespace is closed');
}
