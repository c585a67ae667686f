/**
 * The responder's `ble:` namespace (SPEC §8, §9.5): finds the publisher's beacon by its ephemeral id, visits it, and
 * speaks the link protocol with it. It stays while something is watched or subscribed, comes back when the
 * link breaks, and leaves when nothing is wanted any more. The radio comes in from outside.
 */
import { assertBytes, toHex } from '@rdv/protocol/core/bytes';
import { BEACON_KEY_BYTES } from '@rdv/protocol/core/constants';
import { delay } from '@rdv/protocol/core/deadline';
import { CanceledError, RdvError, toRdvError } from '@rdv/protocol/core/errors';
import type { Clock, Surroundings, Timer } from '@rdv/protocol/core/ports';
import type { EidMatch, LinkDialer } from '@rdv/protocol/link/dialer';
import { LinkNamespace } from '@rdv/protocol/link/link-namespace';
import { type LinkPeer, LinkRefusal } from '@rdv/protocol/link/peer';
import type {
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
import { EidResolver } from '@rdv/protocol/tag/eid-resolver';

export interface BleNamespaceOptions extends Surroundings {
  readonly dialer: LinkDialer;
  /** How a beacon of this key (16 bytes) is recognised on the air. Default: by SPEC §8, one window either way. */
  readonly matchEid?: (beaconKey: Uint8Array) => EidMatch;
  /** Default `ble:`. */
  readonly name?: string;
  /** How long a link is kept that nothing is wanted of; default 2000 ms. */
  readonly lingerMs?: number;
}

const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 30_000;

/** One beacon that is wanted. */
interface Visit {
  readonly key: string;
  readonly stop: AbortController;
  /** Open watches on it. */
  watches: number;
  leaving: Timer | undefined;
}

export class BleNamespace implements Namespace {
  readonly name: string;
  readonly unchecked = false;
  readonly maxFrameBytes: number;
  readonly #options: BleNamespaceOptions;
  readonly #inner: LinkNamespace;
  readonly #visits = new Map<string, Visit>();

  constructor(options: BleNamespaceOptions) {
    this.#options = options;
    this.name = options.name ?? 'ble:';
    this.#inner = new LinkNamespace({ ...options, name: this.name });
    this.maxFrameBytes = this.#inner.maxFrameBytes;
  }

  get state(): NamespaceState {
    return this.#inner.state;
  }

  onState(listener: (state: NamespaceState) => void): () => void {
    return this.#inner.onState(listener);
  }

  put(record: Uint8Array, options?: PutOptions): Promise<void> {
    return this.#inner.put(record, options);
  }

  /** `query.beaconKey` is needed: without it there is nothing to look for on the air. */
  watch(query: LookupQuery, onRecord: RecordListener, options: WatchOptions = {}): Watch {
    const { beaconKey } = query;
    if (!beaconKey) {
      const answered = Promise.reject(
        new RdvError('unsupported', 'without its beacon key a publisher cannot be found on the air'),
      );
      answered.catch(() => {});
      return { answered, close: () => {} };
    }
    assertBytes('beaconKey', beaconKey, BEACON_KEY_BYTES);
    const watch = this.#inner.watch(query, onRecord, options);
    if (options.signal?.aborted) return watch;
    const visit = this.#visit(beaconKey.slice());
    visit.watches++;
    visit.leaving?.cancel();
    let open = true;
    const close = (): void => {
      if (!open) return;
      open = false;
      options.signal?.removeEventListener('abort', close);
      watch.close();
      visit.watches--;
      this.#review();
    };
    options.signal?.addEventListener('abort', close, { once: true });
    return { answered: watch.answered, close };
  }

  subscribe(queue: Uint8Array, onFrame: FrameListener): Subscription {
    const subscription = this.#inner.subscribe(queue, onFrame);
    for (const visit of this.#visits.values()) visit.leaving?.cancel();
    return {
      ready: subscription.ready,
      close: () => {
        subscription.close();
        this.#review();
      },
    };
  }

  send(queue: Uint8Array, frame: Uint8Array): Promise<void> {
    return this.#inner.send(queue, frame);
  }

  async close(): Promise<void> {
    for (const visit of this.#visits.values()) this.#end(visit);
    await this.#inner.close();
  }

  #visit(beaconKey: Uint8Array): Visit {
    const key = toHex(beaconKey);
    const known = this.#visits.get(key);
    if (known) return known;
    const visit: Visit = { key, stop: new AbortController(), watches: 0, leaving: undefined };
    this.#visits.set(key, visit);
    void this.#run(visit, beaconKey);
    return visit;
  }

  /** Comes back again and again, more slowly while it does not work, until the visit is ended. */
  async #run(visit: Visit, beaconKey: Uint8Array): Promise<void> {
    const { clock, log, dialer, random } = this.#options;
    const { signal } = visit.stop;
    const matches = (this.#options.matchEid ?? byWindows(clock))(beaconKey);
    let retryMs = RETRY_MIN_MS;
    while (!signal.aborted) {
      let waitMs = retryMs;
      try {
        const pipe = await dialer.dial(matches, signal);
        if (signal.aborted) {
          pipe.close('no longer wanted');
          break;
        }
        const link = this.#inner.attach(pipe, {
          asks: (query) => query.beaconKey !== undefined && toHex(query.beaconKey) === visit.key,
        });
        const leave = (): void => link.close(new CanceledError('nothing more is wanted of this beacon'));
        signal.addEventListener('abort', leave, { once: true });
        const reason = await ended(link);
        signal.removeEventListener('abort', leave);
        // A link that had opened and broke is dialed again soon; one that never opened, or was refused, is not.
        if (reason.opened) {
          retryMs = RETRY_MIN_MS;
          waitMs = retryMs;
        }
        if (reason.error instanceof LinkRefusal) waitMs = Math.max(waitMs, reason.error.retryAfterMs);
        log.debug('the link to the beacon ended', { reason: reason.error.code });
      } catch (error) {
        if (signal.aborted) break;
        log.info('the beacon could not be reached: trying again', { reason: toRdvError(error).code });
      }
      retryMs = Math.min(RETRY_MAX_MS, retryMs * 2);
      const jitter = 0.75 + (random(1)[0]! / 255) * 0.5;
      await delay(clock, Math.min(RETRY_MAX_MS, waitMs) * jitter, signal).catch(() => {});
    }
  }

  /** Leaves, after a moment, the beacons of which nothing is wanted: a look-up is often followed by a subscription. */
  #review(): void {
    if (this.#inner.subscriptions > 0) return;
    for (const visit of this.#visits.values()) {
      if (visit.watches > 0) continue;
      visit.leaving?.cancel();
      visit.leaving = this.#options.clock.schedule(this.#options.lingerMs ?? 2000, () => this.#end(visit));
    }
  }

  #end(visit: Visit): void {
    visit.leaving?.cancel();
    if (this.#visits.get(visit.key) === visit) this.#visits.delete(visit.key);
    visit.stop.abort(new CanceledError('no longer wanted'));
  }
}

function byWindows(clock: Clock): (beaconKey: Uint8Array) => EidMatch {
  const nowSeconds = (): number => Math.floor(clock.now() / 1000);
  return (beaconKey) => {
    const resolver = new EidResolver<true>(nowSeconds(), 1);
    resolver.add(beaconKey, true);
    return (eid) => {
      resolver.advance(nowSeconds());
      return resolver.resolve(eid) !== undefined;
    };
  };
}

/** How a link ended, and whether it had opened before. */
async function ended(link: LinkPeer): Promise<{ readonly opened: boolean; readonly error: RdvError }> {
  let opened = false;
  link.opened.then(
    () => {
      opened = true;
    },
    () => {},
  );
  const error = await new Promise<RdvError>((resolve) => link.onClose(resolve));
  return { opened, error };
}
