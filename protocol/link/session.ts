/**
 * A link session (SPEC §9.4): both ends ask and answer over one secure channel. It numbers requests, meters the
 * peer, holds its subscriptions and look-ups, and gives everything else to its owner's handlers.
 */
import { assertBytes, equalBytes, fromHex, toHex } from '../core/bytes.js';
import { KEY_BYTES, LINK_MESSAGE_MAX_BYTES, QUEUE_BYTES, RECORD_MAX_BYTES } from '../core/constants.js';
import { CanceledError, InvalidArgumentError, RdvError, toRdvError } from '../core/errors.js';
import type { Surroundings, Timer } from '../core/ports.js';
import { type Rate, TokenBucket } from '../core/token-bucket.js';
import { SecureChannel } from './channel.js';
import type { LinkFrame } from './frames.js';
import { LookupTable } from './lookups.js';
import { type LinkSide, signNode, verifyNode } from './node-proof.js';
import {
  type LinkHandlers,
  type LinkHello,
  type LinkPeer,
  type LinkQuery,
  LinkRefusal,
  type LinkState,
  type LinkWatch,
  type NodeKey,
} from './peer.js';
import type { PacketPipe } from './pipe.js';
import { Requests } from './requests.js';

export interface LinkOptions extends Surroundings {
  readonly side: LinkSide;
  readonly role: LinkHello['role'];
  /** What this end answers. Default: nothing. */
  readonly answers?: { readonly keyed?: boolean; readonly byId?: boolean };
  /** Limits told to the peer. Default: 64 credits, 16 KiB, 32 requests, 1024 subscriptions. */
  readonly limits?: Partial<Pick<LinkHello, 'credits' | 'maxMessageBytes' | 'maxRequests' | 'maxSubscriptions'>>;
  /** Look-ups that the peer may keep open (default 64), and own requests that may stand in line (default 4096). */
  readonly maxLookups?: number;
  readonly maxWaiting?: number;
  /** What the peer may ask for. Default: 2000 frames and 1 MiB a second, four times that at once. */
  readonly metering?: { readonly frames?: Rate; readonly bytes?: Rate };
  /** Node keys (32 bytes each) that count as trusted. Default: none. */
  readonly trustedKeys?: readonly Uint8Array[];
  /** Closes a link on which the peer asked and answered nothing for so long. Default: never. */
  readonly idleMs?: number;
  readonly handlers?: LinkHandlers;
}

const FRAMES: Rate = { burst: 8000, perSecond: 2000 };
const BYTES: Rate = { burst: 4 * 1024 * 1024, perSecond: 1024 * 1024 };
/** Each costs a signature check. */
const PROOFS_PER_LINK = 4;

type Request = LinkFrame & { readonly type: 'put' | 'get' | 'sub' | 'unsub' | 'send' | 'deliver' | 'prove' };

/** Starts a session on `pipe`, which it takes over. The peer's HELLO is awaited by `opened`. */
export function openLink(pipe: PacketPipe, options: LinkOptions): LinkPeer {
  return new LinkSession(pipe, options);
}

class LinkSession implements LinkPeer {
  readonly opened: Promise<void>;
  readonly #options: LinkOptions;
  readonly #handlers: LinkHandlers;
  readonly #local: LinkHello;
  readonly #channel: SecureChannel;
  readonly #requests: Requests;
  readonly #lookups: LookupTable;
  readonly #frames: TokenBucket;
  readonly #bytes: TokenBucket;
  /** Queues that the peer holds, in hexadecimal. */
  readonly #held = new Set<string>();
  readonly #watches = new Map<number, (record: Uint8Array) => void>();
  readonly #closeListeners = new Set<(reason: RdvError) => void>();
  #answering = 0;
  #proofs = 0;
  #idle: Timer | undefined;
  #remote: LinkHello | undefined;
  #binding: Uint8Array | undefined;
  #trustedKey: Uint8Array | undefined;
  #reason: RdvError | undefined;
  #lastTraffic: number;
  #settleOpened!: { resolve: () => void; reject: (error: RdvError) => void };

  constructor(pipe: PacketPipe, options: LinkOptions) {
    const { clock } = options;
    this.#options = options;
    this.#handlers = options.handlers ?? {};
    this.#local = {
      role: options.role,
      answersKeyed: options.answers?.keyed ?? false,
      answersById: options.answers?.byId ?? false,
      credits: 64,
      maxMessageBytes: LINK_MESSAGE_MAX_BYTES,
      maxRequests: 32,
      maxSubscriptions: 1024,
      ...options.limits,
    };
    for (const key of options.trustedKeys ?? []) assertBytes('trustedKeys', key, KEY_BYTES);
    this.#lastTraffic = clock.monotonic();
    this.#frames = new TokenBucket(clock, options.metering?.frames ?? FRAMES);
    this.#bytes = new TokenBucket(clock, options.metering?.bytes ?? BYTES);
    this.#requests = new Requests(
      clock,
      () => this.close(new RdvError('timeout', 'the other end of the link no longer answers')),
      (request) => this.#watches.has(request),
      options.maxWaiting,
    );
    this.#lookups = new LookupTable((frame) => this.#channel.send(frame), options.maxLookups);
    this.opened = new Promise((resolve, reject) => {
      this.#settleOpened = { resolve, reject };
    });
    this.opened.catch(() => {});
    this.#channel = new SecureChannel(pipe, this.#local, options, {
      onOpen: (remote, binding) => this.#onOpen(remote, binding),
      onFrame: (frame, bytes) => this.#onFrame(frame, bytes),
      onClose: (reason) => this.#onClose(reason),
    });
    this.#channel.start(options.side);
  }

  get state(): LinkState {
    return this.#channel.state;
  }

  get remote(): LinkHello {
    if (!this.#remote) throw new RdvError('closed', 'the link is not open yet: await "opened"');
    return this.#remote;
  }

  get binding(): Uint8Array {
    if (!this.#binding) throw new RdvError('closed', 'the link is not open yet: await "opened"');
    return this.#binding.slice();
  }

  get trustedKey(): Uint8Array | undefined {
    return this.#trustedKey?.slice();
  }

  get lastTraffic(): number {
    return this.#lastTraffic;
  }

  async prove(key: NodeKey): Promise<void> {
    assertBytes('key', key.publicKey, KEY_BYTES);
    await this.opened;
    const signature = await signNode(key, this.#options.side, this.binding);
    await this.#ask((request) => ({ type: 'prove', request, key: key.publicKey.slice(), signature }));
  }

  put(record: Uint8Array): Promise<void> {
    assertBytes('record', record);
    if (record.length === 0 || record.length > RECORD_MAX_BYTES)
      throw new InvalidArgumentError(`"record" expected 1 to ${RECORD_MAX_BYTES} bytes, got ${record.length}`);
    const copy = record.slice();
    return this.#ask((request) => ({ type: 'put', request, record: copy }));
  }

  get(query: LinkQuery, onRecord: (record: Uint8Array) => void): LinkWatch {
    let number: number | undefined;
    let open = true;
    const answered = this.#ask((request) => {
      number = request;
      if (open) this.#watches.set(request, onRecord);
      return { type: 'get', request, query };
    });
    answered.catch(() => {});
    return {
      answered,
      close: () => {
        if (!open) return;
        open = false;
        if (number === undefined) return;
        this.#watches.delete(number);
        this.#channel.send({ type: 'cancel', request: number }).catch(() => {});
      },
    };
  }

  subscribe(queue: Uint8Array): Promise<void> {
    assertBytes('queue', queue, QUEUE_BYTES);
    const copy = queue.slice();
    return this.#ask((request) => ({ type: 'sub', request, queue: copy }));
  }

  unsubscribe(queue: Uint8Array): void {
    assertBytes('queue', queue, QUEUE_BYTES);
    const copy = queue.slice();
    this.#ask((request) => ({ type: 'unsub', request, queue: copy })).catch(() => {});
  }

  send(queue: Uint8Array, frame: Uint8Array): Promise<void> {
    return this.#carry('send', queue, frame);
  }

  holds(queue: Uint8Array): boolean {
    return this.#held.has(toHex(queue));
  }

  deliver(queue: Uint8Array, frame: Uint8Array): Promise<void> {
    return this.#carry('deliver', queue, frame);
  }

  onClose(listener: (reason: RdvError) => void): () => void {
    if (this.#reason) listener(this.#reason);
    else this.#closeListeners.add(listener);
    return () => this.#closeListeners.delete(listener);
  }

  close(reason: RdvError = new CanceledError('the link was closed')): void {
    this.#channel.close(reason);
  }

  async #carry(type: 'send' | 'deliver', queue: Uint8Array, frame: Uint8Array): Promise<void> {
    assertBytes('queue', queue, QUEUE_BYTES);
    assertBytes('frame', frame);
    const max = this.#remote?.maxMessageBytes ?? LINK_MESSAGE_MAX_BYTES;
    if (frame.length === 0 || frame.length > max)
      throw new RdvError('too-large', `"frame" expected 1 to ${max} bytes, got ${frame.length}`);
    const copy = { queue: queue.slice(), frame: frame.slice() };
    await this.#ask((request) => ({ type, request, ...copy }));
  }

  #ask(frame: (request: number) => LinkFrame): Promise<void> {
    if (this.#reason) return Promise.reject(this.#reason);
    this.#lastTraffic = this.#options.clock.monotonic();
    return this.#requests.add((request) => {
      // A frame that does not go out any more is rejected with everything else when the channel ends.
      this.#channel.send(frame(request)).catch(() => {});
    });
  }

  #onOpen(remote: LinkHello, binding: Uint8Array): void {
    this.#remote = remote;
    this.#binding = binding;
    this.#stillAlive();
    this.#settleOpened.resolve();
    this.#requests.open(remote.maxRequests);
  }

  #onClose(reason: RdvError): void {
    this.#reason = reason;
    this.#idle?.cancel();
    this.#settleOpened.reject(reason);
    this.#requests.end(reason);
    this.#watches.clear();
    this.#lookups.end();
    for (const queue of this.#held) this.#handlers.onUnsub?.(fromHex(queue));
    this.#held.clear();
    for (const listener of this.#closeListeners) listener(reason);
    this.#closeListeners.clear();
  }

  #stillAlive(): void {
    const { clock, idleMs } = this.#options;
    this.#lastTraffic = clock.monotonic();
    if (idleMs === undefined) return;
    this.#idle?.cancel();
    this.#idle = clock.schedule(idleMs, () => this.close(new RdvError('timeout', 'nothing was asked on the link')));
  }

  #onFrame(frame: LinkFrame, bytes: number): void {
    switch (frame.type) {
      case 'ack':
        if (!this.#requests.settle(frame.request))
          throw new RdvError('protocol-violation', 'an acknowledgement of nothing');
        // Who only listens, and acknowledges what is delivered, is not idle.
        this.#stillAlive();
        return;
      case 'end':
        this.#requests.settle(frame.request);
        return;
      case 'error':
        this.#onError(frame);
        return;
      case 'cancel':
        this.#lookups.cancel(frame.request);
        return;
      case 'record':
        // Metered, but not refused one by one: who floods with answers loses the link.
        if (this.#overdraft(bytes) > 0) throw new RdvError('quota', 'more records than this link carries');
        this.#stillAlive();
        this.#watches.get(frame.request)?.(frame.record);
        return;
      default:
        this.#onRequest(frame, bytes);
    }
  }

  #onError(frame: LinkFrame & { type: 'error' }): void {
    const said = frame.request === 0 ? 'the other end closed the link' : 'the other end of the link refused';
    const refusal = new LinkRefusal(frame.code, `${said}: ${frame.code}`, frame.retryAfterMs);
    if (frame.request === 0) {
      this.#channel.close(refusal);
      return;
    }
    this.#watches.delete(frame.request);
    this.#requests.settle(frame.request, refusal);
  }

  #overdraft(bytes: number): number {
    return Math.max(this.#frames.take(1), this.#bytes.take(bytes));
  }

  #onRequest(frame: Request, bytes: number): void {
    this.#stillAlive();
    // Twice, for the peer may have our answer, and ask again, before our own pipe tells us that it has left.
    if (this.#answering >= 2 * this.#local.maxRequests)
      throw new RdvError('protocol-violation', 'more requests at once than this end allows');
    this.#answering++;
    const wait = this.#overdraft(bytes);
    let answer: void | Promise<void>;
    try {
      if (wait > 0) throw new LinkRefusal('quota', 'more than this link carries', wait);
      answer = this.#serve(frame);
    } catch (error) {
      this.#refuse(frame.request, error);
      return;
    }
    if (frame.type === 'get') this.#answering--;
    else if (answer === undefined) this.#answer({ type: 'ack', request: frame.request });
    else {
      answer.then(
        () => this.#answer({ type: 'ack', request: frame.request }),
        (error: unknown) => this.#refuse(frame.request, error),
      );
    }
  }

  #serve(frame: Request): void | Promise<void> {
    const { onPut, onGet, onSend, onDeliver } = this.#handlers;
    switch (frame.type) {
      case 'put':
        return supported(onPut)(frame.record);
      case 'get':
        this.#lookups.open(frame.request, frame.query, supported(onGet));
        return undefined;
      case 'sub':
        return this.#sub(frame.queue);
      case 'unsub':
        if (this.#held.delete(toHex(frame.queue))) this.#handlers.onUnsub?.(frame.queue);
        return undefined;
      case 'send':
        return supported(onSend)(frame.queue, frame.frame);
      case 'deliver':
        return supported(onDeliver)(frame.queue, frame.frame);
      case 'prove':
        return this.#proved(frame.key, frame.signature);
    }
  }

  #sub(queue: Uint8Array): void | Promise<void> {
    const name = toHex(queue);
    if (this.#held.has(name)) return undefined;
    if (this.#held.size >= this.#local.maxSubscriptions)
      throw new LinkRefusal('quota', 'more subscriptions than this link holds');
    const onSub = supported(this.#handlers.onSub);
    this.#held.add(name);
    const giveBack = (error: unknown): never => {
      this.#held.delete(name);
      throw error;
    };
    try {
      return onSub(queue)?.catch(giveBack);
    } catch (error) {
      return giveBack(error);
    }
  }

  #proved(key: Uint8Array, signature: Uint8Array): void {
    if (++this.#proofs > PROOFS_PER_LINK) throw new LinkRefusal('quota', 'too many proofs on one link');
    const theirSide = this.#options.side === 'initiator' ? 'responder' : 'initiator';
    const known = (this.#options.trustedKeys ?? []).some((trusted) => equalBytes(trusted, key));
    if (!known || !verifyNode(key, signature, theirSide, this.binding))
      throw new LinkRefusal('not-authorized', 'the node key is not trusted here');
    this.#trustedKey = key;
    this.#handlers.onTrusted?.(key.slice());
  }

  /** A request counts until its answer is on its way, so that a peer that does not read cannot pile answers up. */
  #answer(frame: LinkFrame): void {
    const done = (): void => {
      this.#answering--;
    };
    this.#channel.send(frame).then(done, done);
  }

  #refuse(request: number, error: unknown): void {
    const { code } = toRdvError(error);
    if (code === 'internal') this.#options.log.warn('a link request failed', { reason: toRdvError(error).message });
    this.#answer({
      type: 'error',
      request,
      code,
      retryAfterMs: error instanceof LinkRefusal ? error.retryAfterMs : 0,
    });
  }
}

function supported<T>(handler: T | undefined): T {
  if (handler === undefined) throw new LinkRefusal('unsupported', 'not offered on this link');
  return handler;
}
