/**
 * Look-ups of this end (SPEC §13.3): asked by key, again and again, ever more seldom; by id only after a second in which
 * nobody answered, for that shows the id to everybody on the link.
 */
import { toHex } from '@rdv/protocol/core/bytes';
import { CanceledError, RdvError } from '@rdv/protocol/core/errors';
import type { Clock, Random, Timer } from '@rdv/protocol/core/ports';
import { type Rate, TokenBucket } from '@rdv/protocol/core/token-bucket';
import type { LinkFrame } from '@rdv/protocol/link/frames';
import { lookupMac } from '@rdv/protocol/link/node-proof';
import type { LookupQuery, RecordListener, Watch, WatchOptions } from '@rdv/protocol/namespace/port';
import { decodeRecord } from '@rdv/protocol/record/envelope';

/** When a look-up is asked, in milliseconds after it began; then every minute. */
const ASKED_AT_MS: readonly number[] = [0, 300, 1000, 2000, 4000, 8000, 16_000, 32_000];
const EVERY_MS = 60_000;
const BY_ID_AFTER_MS = 1000;
/** Nobody has answered by then: nobody is there. Counted from the first question of the last kind. */
const PATIENCE_MS = 600;
/** Others who publish the same have this long after the first. */
const OTHERS_MS = 150;
const ASKING_MAX = 1024;
/** Records handed to one listener: whoever reads them checks signatures. */
const RECORD_RATE: Rate = { burst: 64, perSecond: 16 };

interface Asking {
  readonly query: LookupQuery;
  readonly idName: string;
  readonly request: number;
  readonly onRecord: RecordListener;
  readonly rate: TokenBucket;
  step: number;
  /** Monotonic ms; moved when the namespace comes up. */
  begun: number;
  heard: boolean;
  timer: Timer | undefined;
  patience: Timer | undefined;
  readonly settle: () => void;
  readonly close: () => void;
}

export interface AskingHost {
  readonly clock: Clock;
  readonly random: Random;
  /** Sends one look-up. */
  ask(get: (binding: Uint8Array) => LinkFrame): void;
  cancel(request: number): void;
  /** Whether the id (hex) may be shown: not that of a publication which is kept from bridges. */
  mayShow(idName: string): boolean;
}

export class UdpAsking {
  readonly #host: AskingHost;
  readonly #open = new Map<number, Asking>();
  #last = 0;

  constructor(host: AskingHost) {
    this.#host = host;
  }

  /** @throws RdvError `quota` */
  watch(query: LookupQuery, onRecord: RecordListener, options: WatchOptions): Watch {
    if (this.#open.size >= ASKING_MAX)
      throw new RdvError('quota', `more than ${ASKING_MAX} look-ups: close some first`);
    do this.#last = (this.#last % 0xffff) + 1;
    while (this.#open.has(this.#last));
    const request = this.#last;
    let settle!: { resolve: () => void; reject: (error: RdvError) => void };
    const answered = new Promise<void>((resolve, reject) => {
      settle = { resolve, reject };
    });
    answered.catch(() => {});
    const { clock } = this.#host;
    const asking: Asking = {
      query: { id: query.id.slice(), ...(query.lookupKey && { lookupKey: query.lookupKey.slice() }) },
      idName: toHex(query.id),
      request,
      onRecord,
      rate: new TokenBucket(clock, RECORD_RATE),
      step: 0,
      begun: clock.monotonic(),
      heard: false,
      timer: undefined,
      patience: undefined,
      settle: settle.resolve,
      close: () => close(),
    };
    const close = (): void => {
      if (this.#open.get(request) !== asking) return;
      this.#open.delete(request);
      options.signal?.removeEventListener('abort', close);
      asking.timer?.cancel();
      asking.patience?.cancel();
      asking.query.lookupKey?.fill(0);
      if (asking.step > 0) this.#host.cancel(request);
      settle.reject(new CanceledError('the watch was closed'));
    };
    this.#open.set(request, asking);
    if (options.signal?.aborted) close();
    else {
      options.signal?.addEventListener('abort', close, { once: true });
      this.#next(asking);
    }
    return { answered, close };
  }

  /** The namespace came up: all of it from the beginning. */
  again(): void {
    for (const asking of this.#open.values()) {
      asking.timer?.cancel();
      asking.step = 0;
      asking.begun = this.#host.clock.monotonic();
      this.#next(asking);
    }
  }

  /** A record that somebody said, or (`own`) that was put here: others may have more to say. */
  heard(bytes: Uint8Array, own = false): void {
    if (this.#open.size === 0) return;
    let idName: string;
    try {
      idName = toHex(decodeRecord(bytes).id);
    } catch {
      return;
    }
    for (const asking of [...this.#open.values()]) {
      if (asking.idName !== idName) continue;
      if (!own) this.#answeredBySomebody(asking);
      if (asking.rate.take() > 0) continue;
      const copy = bytes.slice();
      void Promise.resolve().then(() => {
        if (this.#open.get(asking.request) === asking) asking.onRecord(copy);
      });
    }
  }

  #answeredBySomebody(asking: Asking): void {
    if (asking.heard) return;
    asking.heard = true;
    asking.patience?.cancel();
    asking.patience = this.#host.clock.schedule(OTHERS_MS, asking.settle);
  }

  #next(asking: Asking): void {
    const { clock, random } = this.#host;
    const { id, lookupKey } = asking.query;
    const { request } = asking;
    // By what was due, not by what the clock says: timers may be early by a fraction.
    const byId = !lookupKey || ((ASKED_AT_MS[asking.step] ?? EVERY_MS) >= BY_ID_AFTER_MS && !asking.heard);
    if (lookupKey) {
      this.#host.ask((binding) => ({
        type: 'get',
        request,
        query: { kind: 'keyed', mac: lookupMac(lookupKey, binding) },
      }));
    }
    const shows = byId && this.#host.mayShow(asking.idName);
    if (shows) this.#host.ask(() => ({ type: 'get', request, query: { kind: 'id', id } }));
    if (byId) asking.patience ??= clock.schedule(PATIENCE_MS, asking.settle);
    const at = ASKED_AT_MS[++asking.step];
    const spread = 0.95 + (random(1)[0]! / 255) * 0.1;
    const waitMs = at === undefined ? EVERY_MS * spread : Math.max(0, asking.begun + at - clock.monotonic());
    asking.timer = clock.schedule(waitMs, () => this.#next(asking));
  }

  /** Rejects what waits. Idempotent. */
  close(): void {
    for (const { close } of [...this.#open.values()]) close();
  }
}
