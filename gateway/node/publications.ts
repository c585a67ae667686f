/** The publications of a node: opened, taken up again from the store, listed, taken back. */
import type { Conversation } from '@rdv/protocol/conversation/api';
import { equalBytes, toHex } from '@rdv/protocol/core/bytes';
import { RdvError } from '@rdv/protocol/core/errors';
import type { Store, Surroundings } from '@rdv/protocol/core/ports';
import type { Namespace } from '@rdv/protocol/namespace/port';
import type { LifecycleState } from '@rdv/protocol/rendezvous/lifecycle';
import { PublicationStore, storedPublications } from '@rdv/protocol/rendezvous/publication-store';
import { type Publication, publish } from '@rdv/protocol/rendezvous/publish';
import { TagSecret } from '@rdv/protocol/tag/derived';
import { realmOf } from '@rdv/protocol/tag/secret';
import { parseAnyTag } from '../identity/any-tag.js';
import { openSigner } from '../identity/open-signer.js';
import { openPolicy } from '../identity/trust-policy.js';
import { withoutSecrets } from '../namespaces/parse-url.js';
import type {
  Lifecycle,
  OnNamespace,
  OpenPublication,
  PublicationInfo,
  PublicationState,
  PublicationTarget,
  PublishRequest,
} from './api.js';
import type { AdvertisingRole } from './beacon-role.js';
import { type NamespaceNotes, noteNamespaces } from './namespace-notes.js';
import { type BookEntry, PublicationBook } from './publication-book.js';

const PUBLICATIONS_MAX = 10_000;
const HANDLE_BYTES = 16;

const STATE: Readonly<Record<LifecycleState, PublicationState>> = {
  published: 'active',
  full: 'used-up',
  consumed: 'used-up',
  inactive: 'inactive',
  withdrawn: 'unpublished',
  expired: 'expired',
};

export interface PublicationsOptions {
  readonly ports: Surroundings;
  readonly store: Store;
  readonly namespaces: (urls: readonly string[]) => Promise<Namespace[]>;
  /** Undefined where no publication so far needed the beacon. */
  readonly beacon: () => AdvertisingRole | undefined;
  readonly defaults: readonly string[];
}

interface Active {
  readonly entry: BookEntry;
  readonly publication: Publication;
  readonly secret: TagSecret;
  readonly notes: NamespaceNotes | undefined;
}

const asOption = (lifecycle: Lifecycle): 'unlimited' | 'single' | { readonly limit: number } =>
  lifecycle.kind === 'limited' ? { limit: lifecycle.limit } : lifecycle.kind;

export class Publications {
  readonly #options: PublicationsOptions;
  readonly #book: PublicationBook;
  readonly #active = new Map<string, Active>();
  /** Marks of tags being opened or taken back: two publishers of one stored publication would be two who decide. */
  readonly #changing = new Set<string>();

  constructor(options: PublicationsOptions) {
    this.#options = options;
    this.#book = new PublicationBook(options.store, options.ports.random);
  }

  /** @throws RdvError `busy` when this node publishes the tag already, `refused` when it is used up */
  async open(request: PublishRequest, signal?: AbortSignal, onNamespace?: OnNamespace): Promise<OpenPublication> {
    if (this.#active.size >= PUBLICATIONS_MAX)
      throw new RdvError('quota', `a node serves ${PUBLICATIONS_MAX} publications at most`);
    const secret = await TagSecret.fromTag(await parseAnyTag(request.tag), realmOf(request.realm));
    const mark = await this.#book.mark(secret);
    return this.#alone(mark, () => this.#openMarked(secret, mark, request, signal, onNamespace)).catch(
      (error: unknown) => {
        secret.wipe();
        throw error;
      },
    );
  }

  /** @throws RdvError `busy` while something else is done with the same tag */
  async #alone<T>(mark: Uint8Array, work: () => Promise<T>): Promise<T> {
    const name = toHex(mark);
    if (this.#changing.has(name)) throw new RdvError('busy', 'this tag is being published or taken back already');
    this.#changing.add(name);
    try {
      return await work();
    } finally {
      this.#changing.delete(name);
    }
  }

  async #openMarked(
    secret: TagSecret,
    mark: Uint8Array,
    request: PublishRequest,
    signal: AbortSignal | undefined,
    onNamespace: OnNamespace | undefined,
  ): Promise<OpenPublication> {
    const known = this.#stored(mark);
    if (known && this.#active.has(known.handle)) {
      throw new RdvError('busy', `this node publishes that tag already, as ${known.handle}: see "rdv list"`);
    }
    const { defaults, ports, store } = this.#options;
    const urls = request.namespaces ?? (defaults.length > 0 ? defaults : (known?.namespaces ?? []));
    const signer = request.identity && (await openSigner(request.identity, (what) => ports.log.warn(what)));
    const allow = request.allow && (await openPolicy(request.allow));
    const namespaces = await this.#options.namespaces(urls);
    const entryAs = (handle: string): BookEntry => ({
      handle,
      mark,
      title: request.title ?? known?.title,
      lifecycle: request.lifecycle,
      namespaces: urls,
    });
    const start = (handles: { readonly handle: string } | { readonly newHandle: string }): Promise<Publication> =>
      publish(
        secret,
        {
          lifecycle: asOption(request.lifecycle),
          ...(request.ttlSeconds === undefined ? {} : { ttlSeconds: request.ttlSeconds }),
          ...(request.aheadEpochs === undefined ? {} : { aheadEpochs: request.aheadEpochs }),
          ...(request.bridge ? { bridge: request.bridge } : {}),
          ...(request.hello ? { hello: request.hello } : {}),
          ...(signer && { signer }),
          ...(allow && { allow }),
          ...(request.durable && { durable: request.durable }),
          ...handles,
          ...(signal ? { signal } : {}),
        },
        { ...ports, store, namespaces },
      );
    // In the book before anything can be accepted: killed in between, the next start still knows whose it is.
    const startNew = async (): Promise<Publication> => {
      for (const old of this.#book.all()) if (equalBytes(old.mark, mark)) await this.#book.forget(old.handle);
      const newHandle = toHex(ports.random(HANDLE_BYTES));
      await this.#book.keep(entryAs(newHandle));
      return start({ newHandle });
    };
    let publication = known ? await start({ handle: known.handle }) : await startNew();
    const { lifecycle, unconfirmed } = publication.status;
    if (known && unconfirmed === 0 && (lifecycle === 'consumed' || lifecycle === 'full')) {
      await publication.close();
      if (!request.again) {
        throw new RdvError('refused', 'this tag was published before and is used up: publish it anew with --again');
      }
      publication = await startNew();
    }
    const entry = entryAs(publication.handle);
    await this.#book.keep(entry);
    const notes = onNamespace && noteNamespaces(namespaces, onNamespace);
    this.#active.set(entry.handle, { entry, publication, secret, notes });
    this.#putOnAir(entry, publication, secret, request, urls);
    return this.#handOut(entry, publication);
  }

  #stored(mark: Uint8Array): BookEntry | undefined {
    const entry = this.#book.find(mark);
    return entry && storedPublications(this.#options.store).includes(entry.handle) ? entry : undefined;
  }

  #putOnAir(
    { handle }: BookEntry,
    publication: Publication,
    secret: TagSecret,
    request: PublishRequest,
    urls: readonly string[],
  ): void {
    const beacon = this.#options.beacon();
    const overAir = urls.some((url) => /^ble:/i.test(url));
    const wanted =
      request.advertise ?? (request.lifecycle.kind !== 'single' || urls.every((url) => /^ble:/i.test(url)));
    if (!beacon || !wanted || (beacon.connectable && !overAir)) return;
    const show = (): void => beacon.advertise(handle, secret, request.bridge ?? 'trusted');
    if (publication.status.lifecycle === 'published') show();
    publication.onEvent((event) => {
      if (event === 'published') show();
      else if (event !== 'restored' && event !== 'already-published') beacon.retire(handle);
    });
  }

  #handOut(entry: BookEntry, publication: Publication): OpenPublication {
    const info = (): PublicationInfo => this.#info(entry, publication);
    const stop = async (): Promise<void> => {
      this.#options.beacon()?.withdraw(entry.handle);
      await publication.close();
      const active = this.#active.get(entry.handle);
      active?.secret.wipe();
      active?.notes?.close();
      this.#active.delete(entry.handle);
    };
    let ending: Promise<void> | undefined;
    return {
      get info() {
        return info();
      },
      conversations: this.#untilOver(publication),
      unpublish: () => publication.unpublish(),
      close: () => {
        ending ??= stop();
        return ending;
      },
    };
  }

  /** Conversations, until the publication is closed, or is over and the last reply has been taken up. */
  async *#untilOver(publication: Publication): AsyncGenerator<Conversation> {
    const iterator = publication[Symbol.asyncIterator]();
    let wake: () => void = () => {};
    const stop = publication.onEvent(() => wake());
    try {
      let next = iterator.next();
      for (;;) {
        const changed = new Promise<'changed'>((resolve) => {
          wake = () => resolve('changed');
        });
        const { lifecycle, unconfirmed } = publication.status;
        const over = lifecycle !== 'published' && lifecycle !== 'inactive' && unconfirmed === 0;
        const got = await Promise.race([next, over ? Promise.resolve('over' as const) : changed]);
        if (got === 'over') return;
        if (got === 'changed') continue;
        if (got.done) return;
        next = iterator.next();
        void got.value.closed.then(() => wake());
        got.value.onState(() => wake());
        yield got.value;
      }
    } finally {
      stop();
    }
  }

  #info(entry: BookEntry, publication: Publication | undefined): PublicationInfo {
    const status = publication?.status ?? new PublicationStore(this.#options.store, entry.handle).state();
    const over = status && status.lifecycle !== 'published' ? STATE[status.lifecycle] : undefined;
    return {
      handle: entry.handle,
      title: entry.title,
      lifecycle: entry.lifecycle,
      state: over ?? (publication ? 'active' : 'stopped'),
      accepted: status?.accepted ?? 0,
      left: publication?.status.left,
      others: publication?.status.others,
      expiresAt: status?.expiry ? status.expiry * 1000 : undefined,
      namespaces: entry.namespaces.map(withoutSecrets),
    };
  }

  list(): PublicationInfo[] {
    return this.#book.all().map((entry) => this.#info(entry, this.#active.get(entry.handle)?.publication));
  }

  unpublish(target: PublicationTarget): Promise<void> {
    return this.#change(target, (publication) => publication.unpublish());
  }

  deactivate(target: PublicationTarget): Promise<void> {
    return this.#change(target, (publication) => publication.deactivate());
  }

  activate(target: PublicationTarget): Promise<void> {
    return this.#change(target, (publication) => publication.activate());
  }

  renew(target: PublicationTarget, ttlSeconds: number | undefined): Promise<void> {
    return this.#change(target, (publication) => publication.renew(ttlSeconds));
  }

  /** One that nobody serves is taken up for it, which takes the tag itself. @throws RdvError `not-published` */
  async #change(target: PublicationTarget, work: (publication: Publication) => Promise<void>): Promise<void> {
    if ('handle' in target) {
      const active = this.#active.get(target.handle);
      if (active) return work(active.publication);
      const stopped = this.#book.all().some((entry) => entry.handle === target.handle);
      throw new RdvError(
        'not-published',
        stopped
          ? 'nobody serves that publication at the moment: give the tag itself'
          : 'there is no such publication: see "rdv list"',
      );
    }
    const secret = await TagSecret.fromTag(await parseAnyTag(target.tag), realmOf(target.realm));
    try {
      const mark = await this.#book.mark(secret);
      await this.#alone(mark, () => this.#changeMarked(secret, mark, work));
    } finally {
      secret.wipe();
    }
  }

  async #changeMarked(
    secret: TagSecret,
    mark: Uint8Array,
    work: (publication: Publication) => Promise<void>,
  ): Promise<void> {
    const entry = this.#stored(mark);
    const active = entry && this.#active.get(entry.handle);
    if (active) return work(active.publication);
    if (!entry) throw new RdvError('not-published', 'this node has not published that tag: see "rdv list"');
    const namespaces = await this.#options.namespaces(entry.namespaces);
    const publication = await publish(
      secret,
      { lifecycle: asOption(entry.lifecycle), handle: entry.handle },
      { ...this.#options.ports, store: this.#options.store, namespaces },
    );
    try {
      await work(publication);
    } finally {
      await publication.close();
    }
  }

  async close(): Promise<void> {
    await Promise.allSettled(
      [...this.#active.values()].map(async ({ entry, publication, secret, notes }) => {
        this.#options.beacon()?.withdraw(entry.handle);
        notes?.close();
        await publication.close();
        secret.wipe();
      }),
    );
    this.#active.clear();
  }
}
