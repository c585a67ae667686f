/** The Central port in the node's process: keeps what is wanted (the scan) across hosts, passes the rest on. */
import { CanceledError, RdvError, throwIfAborted } from '@rdv/protocol/core/errors';
import type {
  AdapterState,
  Central,
  CentralLink,
  HeardAdvert,
  PeerAddress,
  Scan,
  ScanOptions,
} from '../radio/central.js';
import { type Attachment, CALL_DEADLINE_MS } from './attachment.js';
import type { HostSession } from './session.js';

/** What a connect may take beyond its own deadline: to cancel, and to say so. */
const CONNECT_GRACE_MS = 6000;
const CONNECT_DEADLINE_MS = 10_000;

interface Wanted {
  readonly onAdvert: (advert: HeardAdvert) => void;
  readonly options: Required<ScanOptions>;
}

export class RemoteCentral implements Central {
  readonly #attachment: Attachment;
  readonly #closeHost: () => Promise<void>;
  #wanted: Wanted | undefined;
  #line: Promise<unknown> = Promise.resolve();

  constructor(attachment: Attachment, closeHost: () => Promise<void>) {
    this.#attachment = attachment;
    this.#closeHost = closeHost;
  }

  get state(): AdapterState {
    return this.#attachment.state;
  }

  /** Whether adverts are expected at the moment. */
  get scanning(): boolean {
    return this.#wanted !== undefined;
  }

  onState(listener: (state: AdapterState) => void): () => void {
    return this.#attachment.onState(listener);
  }

  async scan(onAdvert: (advert: HeardAdvert) => void, options: ScanOptions = {}): Promise<Scan> {
    if (this.#wanted) throw new RdvError('busy', 'this adapter scans already: stop that scan first');
    const wanted: Wanted = {
      onAdvert,
      options: { passive: options.passive ?? true, allowDuplicates: options.allowDuplicates ?? true },
    };
    this.#wanted = wanted;
    try {
      const before = this.#attachment.session;
      const session = await this.#attachment.wait();
      // A host that came while this waited was told by `restore`.
      if (before === session) await this.#start(session, wanted);
    } catch (error) {
      if (this.#wanted === wanted) this.#wanted = undefined;
      throw error;
    }
    return { stop: () => this.#stop(wanted) };
  }

  async connect(peer: PeerAddress, options: { deadlineMs?: number; signal?: AbortSignal } = {}): Promise<CentralLink> {
    const before = this.#line;
    const turn = inLine(before, options.signal).then(() =>
      this.#connect(peer, options.deadlineMs ?? CONNECT_DEADLINE_MS, options.signal),
    );
    // Who gives up waiting leaves the line; the next still waits for those before.
    this.#line = before.then(() => turn.catch(() => {}));
    return turn;
  }

  async close(): Promise<void> {
    this.#wanted = undefined;
    await this.#closeHost();
  }

  /** Tells a new host, or one whose scan may have died, what is wanted. */
  async restore(session: HostSession): Promise<void> {
    if (this.#wanted) await this.#start(session, this.#wanted);
  }

  /** From the host. */
  heard(advert: HeardAdvert): void {
    this.#wanted?.onAdvert(advert);
  }

  async #connect(peer: PeerAddress, deadlineMs: number, signal: AbortSignal | undefined): Promise<CentralLink> {
    throwIfAborted(signal);
    if (this.state === 'closed') throw new CanceledError('the adapter was closed');
    const session = this.#attachment.session;
    if (!session) throw new RdvError('adapter', 'the adapter is being recovered: connect again later');
    const id = await session.call(
      { m: 'connect', address: peer.address, type: peer.type, deadlineMs },
      deadlineMs + CONNECT_GRACE_MS,
      { what: 'connect', ...(signal && { signal }) },
    );
    const link = session.link(id);
    if (!link) throw new RdvError('unreachable', 'the connection ended at once');
    return link;
  }

  async #start(session: HostSession, wanted: Wanted): Promise<void> {
    await session.call({ m: 'scan', ...wanted.options }, CALL_DEADLINE_MS, { what: 'scan' });
  }

  async #stop(wanted: Wanted): Promise<void> {
    if (this.#wanted !== wanted) return;
    this.#wanted = undefined;
    const session = this.#attachment.session;
    // A host that ends meanwhile scans no more either.
    await session?.call({ m: 'stop-scan' }, CALL_DEADLINE_MS, { what: 'stop scanning' }).catch(() => {});
  }
}

/** `before`, or the signal, whichever comes first. @throws CanceledError */
function inLine(before: Promise<unknown>, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(new CanceledError());
    if (signal?.aborted) onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });
    void before.then(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
  });
}
