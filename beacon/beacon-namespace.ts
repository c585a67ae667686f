/**
 * The beacon as a namespace (SPEC §9.5): its own publisher puts records and holds queues here, and every central that
 * connects is served as a link peer. A phone beside a kiosk needs no internet. What may be bridged is offered to gateways;
 * what waits for one is "mail". Adverts and radio are left to the advertiser and the GATT adapter.
 */
import { assertBytes, concat, toHex } from '@rdv/protocol/core/bytes';
import { ID_BYTES, LINK_MESSAGE_MAX_BYTES, QUEUE_BYTES } from '@rdv/protocol/core/constants';
import { CanceledError, InvalidArgumentError, throwIfAborted } from '@rdv/protocol/core/errors';
import type { Surroundings } from '@rdv/protocol/core/ports';
import { Stateful } from '@rdv/protocol/core/stateful';
import { type LinkAnswer, type LinkPeer, type LinkQuery, LinkRefusal, type NodeKey } from '@rdv/protocol/link/peer';
import type { PacketPipe } from '@rdv/protocol/link/pipe';
import { type LinkOptions, openLink } from '@rdv/protocol/link/session';
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
import { RecordShelf } from '@rdv/protocol/namespace/record-shelf';
import { Outbox, type OutboxLimits } from './outbox.js';
import { Visitor } from './visitor.js';

export interface BeaconNamespaceOptions extends Surroundings {
  /** Default `ble:`. */
  readonly name?: string;
  /** How many centrals the radio serves at once; gateways may hold all but one. Default 4. */
  readonly slots?: () => number;
  /** Node keys (32 bytes each) of gateways that may carry what is published with `bridge: trusted`. */
  readonly trustedKeys?: readonly Uint8Array[];
  /** Shown to gateways that have proved a trusted key, and to nobody else: it would tell beacons apart across windows. */
  readonly nodeKey?: NodeKey;
  /** Default: see `LinkOptions`. */
  readonly metering?: LinkOptions['metering'];
  readonly outbox?: OutboxLimits;
  /** A central that asks nothing for so long makes room; default 60,000. */
  readonly idleMs?: number;
}

/** What a full beacon tells a central to wait. */
const BUSY_MS = 5000;

interface LocalQueue {
  /** The queue in hexadecimal. */
  readonly name: string;
  readonly queue: Uint8Array;
  readonly bridge: BridgePolicy | undefined;
  readonly onFrame: FrameListener;
}

interface LocalWatch {
  readonly id: Uint8Array;
  readonly onRecord: RecordListener;
}

export class BeaconNamespace extends Stateful<NamespaceState> implements Namespace {
  readonly name: string;
  readonly maxFrameBytes: number = LINK_MESSAGE_MAX_BYTES;
  readonly unchecked = false;
  readonly #options: BeaconNamespaceOptions;
  readonly #shelf: RecordShelf;
  readonly #outbox: Outbox;
  readonly #visitors = new Set<Visitor>();
  readonly #queues = new Set<LocalQueue>();
  readonly #watches = new Set<LocalWatch>();
  readonly #mailListeners = new Set<(hasMail: boolean) => void>();
  /** Records or queues that no bridge has taken yet. */
  #news = false;
  #hadMail = false;

  constructor(options: BeaconNamespaceOptions) {
    super('up');
    this.#options = options;
    this.name = options.name ?? 'ble:';
    this.#shelf = new RecordShelf(options.clock);
    this.#outbox = new Outbox(options.clock, options.outbox ?? {}, () => this.#reviewMail());
  }

  /** Whether any publication may be bridged: the advert's "wants bridging" bit (SPEC §8). */
  get wantsBridging(): boolean {
    const { openness } = this.#shelf;
    return openness === 'any' || (openness === 'trusted' && (this.#options.trustedKeys ?? []).length > 0);
  }

  /** Whether something waits for a bridge: the advert's "has mail" bit (SPEC §8). */
  get hasMail(): boolean {
    return this.wantsBridging && (this.#news || !this.#outbox.empty);
  }

  /** Called when `hasMail` changes. */
  onMail(listener: (hasMail: boolean) => void): () => void {
    this.#mailListeners.add(listener);
    return () => this.#mailListeners.delete(listener);
  }

  /** Centrals connected at this moment. */
  get visitors(): number {
    return this.#visitors.size;
  }

  /** Serves a connected central until it leaves. @throws CanceledError when closed */
  attach(pipe: PacketPipe): LinkPeer {
    this.#assertOpen();
    const { clock, random, log, trustedKeys, metering, idleMs } = this.#options;
    const visitor = new Visitor();
    const link = openLink(pipe, {
      clock,
      random,
      log,
      side: 'responder',
      role: 'publisher',
      answers: { keyed: true },
      trustedKeys: trustedKeys ?? [],
      ...(metering ? { metering } : {}),
      idleMs: idleMs ?? 60_000,
      handlers: {
        onPut: (record) => this.#onPut(visitor, record),
        onGet: (query, answer) => this.#onGet(visitor, query, answer),
        onSub: () => {},
        onUnsub: () => {},
        onSend: (queue, frame) => this.#arrived(queue, frame, visitor),
        onDeliver: (queue, frame) => this.#arrived(queue, frame, visitor),
        onTrusted: () => this.#onTrusted(visitor),
      },
    });
    visitor.link = link;
    this.#visitors.add(visitor);
    link.opened.then(
      () => this.#onOpen(visitor),
      () => {},
    );
    link.onClose((reason) => {
      this.#visitors.delete(visitor);
      log.debug('a central left', { reason: reason.code });
      // What a bridge had not acknowledged goes to the next one.
      this.#offer();
      this.#reviewMail();
    });
    return link;
  }

  async put(record: Uint8Array, options: PutOptions = {}): Promise<void> {
    assertBytes('record', record);
    throwIfAborted(options.signal);
    this.#assertOpen();
    const { lookupKey, bridge } = options;
    const shelved = this.#shelf.put(record, { own: true, lookupKey, bridge });
    if (!shelved) return;
    this.#tellLocal(shelved.record.id, shelved.record.bytes);
    for (const visitor of this.#visitors) if (visitor.link.state === 'open') visitor.tell(shelved);
    this.#changed(shelved.bridge);
  }

  watch(query: LookupQuery, onRecord: RecordListener, options: WatchOptions = {}): Watch {
    assertBytes('id', query.id, ID_BYTES);
    this.#assertOpen();
    const watch: LocalWatch = { id: query.id.slice(), onRecord };
    const close = (): void => {
      this.#watches.delete(watch);
      options.signal?.removeEventListener('abort', close);
    };
    if (!options.signal?.aborted) this.#watches.add(watch);
    options.signal?.addEventListener('abort', close, { once: true });
    const answered = Promise.resolve().then(() => {
      for (const { record } of this.#shelf.under(watch.id))
        if (this.#watches.has(watch)) onRecord(record.bytes.slice());
    });
    answered.catch(() => {});
    return { answered, close };
  }

  subscribe(queue: Uint8Array, onFrame: FrameListener, options: CarryOptions = {}): Subscription {
    assertBytes('queue', queue, QUEUE_BYTES);
    this.#assertOpen();
    const local: LocalQueue = { name: toHex(queue), queue: queue.slice(), bridge: options.bridge, onFrame };
    this.#queues.add(local);
    this.#changed(options.bridge ?? this.#shelf.openness);
    const close = (): void => {
      if (!this.#queues.delete(local)) return;
      if ([...this.#queues].some((other) => other.name === local.name)) return;
      for (const visitor of this.#visitors) visitor.dropQueue(local.queue);
    };
    return { ready: Promise.resolve(), close };
  }

  async send(queue: Uint8Array, frame: Uint8Array, options: CarryOptions = {}): Promise<void> {
    assertBytes('queue', queue, QUEUE_BYTES);
    assertBytes('frame', frame);
    if (frame.length === 0 || frame.length > this.maxFrameBytes)
      throw new InvalidArgumentError(`"frame" expected 1 to ${this.maxFrameBytes} bytes, got ${frame.length}`);
    this.#assertOpen();
    const copy = { queue: queue.slice(), frame: frame.slice() };
    const local = this.#toLocal(copy.queue, copy.frame);
    const holders = this.#holders(copy.queue);
    const taken = await Promise.all(holders.map((visitor) => visitor.deliver(copy.queue, copy.frame)));
    if (local || taken.includes(true)) return;
    if (this.state === 'closed') throw new CanceledError('the beacon is closed');
    // Nobody here reads it: whoever does is beyond a bridge.
    const bridge = options.bridge ?? this.#shelf.openness;
    if (bridge === 'none') return;
    const left = this.#outbox.add({ ...copy, bridge });
    left.catch(() => {});
    this.#drain();
    if ([...this.#visitors].some((visitor) => visitor.mayCarry(bridge))) await left;
  }

  async close(): Promise<void> {
    if (this.state === 'closed') return;
    this.become('closed');
    this.#queues.clear();
    this.#watches.clear();
    for (const { link } of [...this.#visitors]) link.close(new CanceledError('the beacon is closed'));
    this.#outbox.clear();
  }

  #onOpen(visitor: Visitor): void {
    const { log } = this.#options;
    const slots = Math.max(1, this.#options.slots?.() ?? 4);
    const open = [...this.#visitors].filter(({ link, turnedAway }) => link.state === 'open' && !turnedAway);
    const gateways = open.filter((one) => one.isGateway).length;
    // One slot stays free of gateways, or a street full of them would leave none to whoever stands here.
    const noRoom = open.length > slots || (visitor.isGateway && gateways > Math.max(1, slots - 1));
    if (noRoom) {
      visitor.turnedAway = true;
      log.info('a central was turned away: no free slot', { role: visitor.link.remote.role });
      visitor.link.close(new LinkRefusal('busy', 'no free slot', BUSY_MS));
      return;
    }
    log.debug('a central came', { role: visitor.link.remote.role });
    this.#offer();
  }

  #onTrusted(visitor: Visitor): void {
    const { nodeKey } = this.#options;
    if (nodeKey && visitor.isGateway) visitor.link.prove(nodeKey).catch(() => {});
    this.#offer();
  }

  #onPut(visitor: Visitor, record: Uint8Array): void {
    if (visitor.link.trustedKey === undefined)
      throw new LinkRefusal('not-authorized', 'records are taken from trusted gateways only');
    const shelved = this.#shelf.put(record, { own: false });
    if (shelved) this.#tellLocal(shelved.record.id, shelved.record.bytes);
  }

  #onGet(visitor: Visitor, query: LinkQuery, answer: LinkAnswer): () => void {
    if (query.kind !== 'keyed') throw new LinkRefusal('unsupported', 'a publisher is asked by HMAC, not by id');
    return visitor.lookUp(query, answer, this.#shelf.own());
  }

  /** A frame from a link, for whoever reads here. Whether anybody does, the sender is not told. */
  #arrived(queue: Uint8Array, frame: Uint8Array, from: Visitor): void {
    this.#toLocal(queue, frame);
    for (const visitor of this.#holders(queue)) if (visitor !== from) void visitor.deliver(queue, frame);
  }

  #holders(queue: Uint8Array): readonly Visitor[] {
    return [...this.#visitors].filter((visitor) => !visitor.turnedAway && visitor.link.holds(queue));
  }

  #toLocal(queue: Uint8Array, frame: Uint8Array): boolean {
    const name = toHex(queue);
    const readers = [...this.#queues].filter((local) => local.name === name);
    for (const local of readers) {
      const copy = concat(frame);
      void Promise.resolve().then(() => {
        if (this.#queues.has(local)) local.onFrame(copy);
      });
    }
    return readers.length > 0;
  }

  #tellLocal(id: Uint8Array, bytes: Uint8Array): void {
    const name = toHex(id);
    for (const watch of this.#watches) {
      if (toHex(watch.id) !== name) continue;
      const copy = bytes.slice();
      void Promise.resolve().then(() => {
        if (this.#watches.has(watch)) watch.onRecord(copy);
      });
    }
  }

  /** Something that a bridge may want to know of. */
  #changed(bridge: BridgePolicy): void {
    if (bridge !== 'none') this.#news = true;
    this.#offer();
    this.#reviewMail();
  }

  /** Offers every bridge what it may carry and has not taken: queues, then records, then mail (SUB before SEND). */
  #offer(): void {
    if (this.state === 'closed') return;
    for (const visitor of this.#visitors) {
      if (!visitor.isGateway) continue;
      const { openness } = this.#shelf;
      const queues = [...this.#queues].filter(({ bridge }) => visitor.mayCarry(bridge ?? openness));
      visitor.syncQueues(new Map(queues.map(({ name, queue }) => [name, queue])), () => this.#unsettled());
      for (const shelved of this.#shelf.own()) {
        if (!visitor.mayCarry(shelved.bridge)) continue;
        visitor.offer(shelved)?.catch(() => this.#unsettled());
      }
      if (visitor.mayCarry(openness)) this.#news = false;
    }
    this.#drain();
    this.#reviewMail();
  }

  #unsettled(): void {
    this.#news = true;
    this.#reviewMail();
  }

  #drain(): void {
    for (const visitor of this.#visitors) {
      this.#outbox.drain(visitor, (delayMs) => {
        if (delayMs === 0) this.#drain();
        else this.#options.clock.schedule(delayMs, () => this.#drain());
      });
    }
  }

  #reviewMail(): void {
    const { hasMail } = this;
    if (hasMail === this.#hadMail) return;
    this.#hadMail = hasMail;
    for (const listener of [...this.#mailListeners]) listener(hasMail);
  }

  #assertOpen(): void {
    if (this.state === 'closed') throw new CanceledError('the beacon is closed');
  }
}

/** A beacon's namespace, ready to publish to and to `attach` centrals to. */
export function createBeaconNamespace(options: BeaconNamespaceOptions): BeaconNamespace {
  return new BeaconNamespace(options);
}
