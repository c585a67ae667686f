/**
 * Keeps a publication's records in its namespaces (SPEC §2, §3): one per epoch that is due (`due-epochs.ts`); restores
 * what an unchecked namespace lost; replaces all by tombstones. Owns the epochs' inboxes and prekeys. What a response leads
 * to is not decided here.
 */
import { equalBytes, wipe } from '../core/bytes.js';
import { EPOCH_SECONDS, KEY_BYTES, NOT_AFTER_GRACE_SECONDS, QUEUE_TTL_SECONDS } from '../core/constants.js';
import { withDeadline } from '../core/deadline.js';
import { type RdvError, toRdvError } from '../core/errors.js';
import type { StoreWrite, Timer } from '../core/ports.js';
import { type Rate, TokenBucket } from '../core/token-bucket.js';
import type { Namespace, RecordListener, Watch } from '../namespace/port.js';
import { PutAgain } from '../namespace/put-again.js';
import { openRecord } from '../record/body.js';
import { decodeRecord, type RecordEnvelope, verifyRecord } from '../record/envelope.js';
import { type TombstoneReason, tombstoneReason } from '../record/tombstone.js';
import type { EpochValues } from '../tag/derived.js';
import { DueEpochs } from './due-epochs.js';
import { epochRecord, epochTombstone } from './epoch-record.js';
import type { Inbox } from './inbox.js';
import type { KeeperInit } from './keeper-init.js';
import { OtherOwners } from './other-owners.js';
import { type OwnerKey, ownerKey } from './owner-key.js';
import type { StoredPrekey } from './publication-store.js';
import { Restorer } from './restorer.js';

/** After a failure. */
const RETRY_SECONDS = 30;
const LOOK_AGAIN_SECONDS = 600;
/** Signatures checked of what is heard under our id, where anybody may write. */
const CHECK_RATE: Rate = { burst: 64, perSecond: 8 };

const LAST_WORDS_MS = 2000;

interface Epoch {
  readonly keys: EpochValues;
  readonly owner: OwnerKey;
  readonly inbox: Inbox;
  readonly restorer: Restorer;
  readonly watches: Watch[];
  attached: boolean;
  record: RecordEnvelope | undefined;
  maxNotAfter: number;
  prekeys: StoredPrekey[];
}

export class RecordKeeper {
  readonly #init: KeeperInit;
  readonly #epochs = new Map<number, Epoch>();
  readonly #aborter = new AbortController();
  /** Fires first, so that no signer holds a closing publication up. */
  readonly #ending = new AbortController();
  readonly #others: OtherOwners;
  readonly #announced = new Set<number>();
  readonly #checks: TokenBucket;
  readonly #dueEpochs: DueEpochs;
  readonly #puttingAgain: readonly PutAgain<Epoch>[];
  /** Unix seconds; 0 is never. */
  #expiry: number;
  #publishing = false;
  /** Why the records were, or still have to be, taken back. */
  #takenBack: TombstoneReason | undefined;
  #timer: Timer | undefined;
  #work: Promise<void> = Promise.resolve();
  readonly #tombstonesOut = new Set<Promise<void>>();

  constructor(init: KeeperInit) {
    this.#init = init;
    this.#expiry = init.expiry;
    this.#checks = new TokenBucket(init.clock, CHECK_RATE);
    this.#others = new OtherOwners(() => this.#checks.take() === 0);
    this.#dueEpochs = new DueEpochs(init.random, init.aheadEpochs);
    const items = (): Iterable<Epoch> => this.#epochs.values();
    this.#puttingAgain = init.namespaces.map((namespace) => {
      const put = (epoch: Epoch): void => this.#put(epoch, namespace);
      return new PutAgain({ clock: init.clock, namespace, items, put });
    });
  }

  /**
   * Takes up what the store has, then publishes if `publishing`. Resolves once everything is stored and on its way:
   * that a namespace acknowledges is not waited for.
   */
  async open(publishing: boolean): Promise<void> {
    this.#publishing = publishing;
    const prekeys = this.#init.store.prekeys();
    for (const stored of this.#init.store.records()) {
      const epoch = this.#epoch(stored.epoch);
      epoch.record = decodeRecord(stored.bytes);
      epoch.maxNotAfter = stored.maxNotAfter;
    }
    for (const prekey of prekeys) this.#adopt(this.#epoch(prekey.epoch), prekey);
    const due = publishing ? this.#dueEpochs.at(this.#seconds(), this.#expiry) : [];
    for (const [number, epoch] of this.#epochs) {
      this.#attach(epoch);
      if (!due.includes(number)) this.#announce(epoch);
    }
    await this.#turn();
  }

  /** Publishes again after `withdraw`. */
  publish(): Promise<void> {
    this.#publishing = true;
    this.#takenBack = undefined;
    return this.#turn();
  }

  /** Ends at another moment (unix seconds; 0 is never). @param publish now, too; else when it is published again */
  async renew(expiry: number, publish: boolean): Promise<void> {
    this.#expiry = expiry;
    if (publish) await this.publish();
  }

  /** Tombstones for every unexpired record, stored, then sent everywhere. */
  withdraw(reason: TombstoneReason): Promise<void> {
    this.#publishing = false;
    this.#takenBack = reason;
    return this.#turn();
  }

  /**
   * Leaves the records where they are. What was taken back until now reaches the namespaces first, which have two
   * seconds for it: a process that ends may not come back to say it.
   */
  async close(): Promise<void> {
    this.#timer?.cancel();
    for (const again of this.#puttingAgain) again.close();
    this.#ending.abort();
    await this.#work;
    if (this.#tombstonesOut.size > 0) {
      const out = Promise.allSettled(this.#tombstonesOut);
      await withDeadline(this.#init.clock, LAST_WORDS_MS, 'too slow', out).catch(() => {});
    }
    this.#aborter.abort();
    for (const epoch of this.#epochs.values()) this.#release(epoch, true);
    this.#epochs.clear();
  }

  /** Owners of other publications seen under the tag: 64 at most are counted. */
  get others(): number {
    return this.#others.count;
  }

  #queue(work: () => Promise<void>): Promise<void> {
    const next = this.#work.then(async () => {
      if (!this.#aborter.signal.aborted) await work();
    });
    this.#work = next.catch(() => {});
    return next;
  }

  #seconds(): number {
    return Math.floor(this.#init.clock.now() / 1000);
  }

  /** Creates what is due, forgets what is over, and sets the clock for the next time. */
  #turn(): Promise<void> {
    return this.#queue(async () => {
      const now = this.#seconds();
      // Whatever fails is tried again: a store that was full for a moment does not end a publication.
      this.#schedule(now, RETRY_SECONDS);
      for (const [number, epoch] of this.#epochs) {
        if (epoch.maxNotAfter + QUEUE_TTL_SECONDS <= now) await this.#forget(number, epoch);
      }
      await this.#forgetAccepted();
      if (this.#publishing) {
        for (const number of this.#dueEpochs.at(now, this.#expiry)) await this.#publishIn(number);
      } else if (this.#takenBack) await this.#takeBack(now, this.#takenBack);
      this.#schedule(now, LOOK_AGAIN_SECONDS);
    });
  }

  async #takeBack(now: number, reason: TombstoneReason): Promise<void> {
    const live = [...this.#epochs.values()].filter(
      ({ record, maxNotAfter }) => record && !record.tombstone && maxNotAfter > now,
    );
    await this.#replace(live.map((epoch) => [epoch, this.#tombstone(epoch, reason)]));
    for (const epoch of live) this.#announce(epoch);
  }

  /** The next turn: when something is due, or in `most` seconds, for the clock may have been set meanwhile. */
  #schedule(now: number, most: number): void {
    this.#timer?.cancel();
    if (this.#aborter.signal.aborted) return;
    const moments = [now + most, this.#dueEpochs.changeAfter(now)];
    for (const epoch of this.#epochs.values()) moments.push(epoch.maxNotAfter + QUEUE_TTL_SECONDS);
    const next = Math.min(...moments.filter((moment) => moment > now));
    this.#timer = this.#init.clock.schedule((next - now) * 1000, () => {
      this.#turn().catch((error: unknown) => this.#warn('the next epoch could not be prepared', error));
    });
  }

  /** A live record in this epoch with the body of today's options: the stored one, or a new one. */
  async #publishIn(number: number): Promise<void> {
    const epoch = this.#epoch(number);
    const grace = (number + 1) * EPOCH_SECONDS + NOT_AFTER_GRACE_SECONDS;
    const notAfter = this.#expiry === 0 ? grace : Math.min(grace, this.#expiry);
    const fitting = epoch.prekeys.find((prekey) => this.#fits(epoch, notAfter, prekey));
    const live = epoch.record && !epoch.record.tombstone && epoch.record.notAfter === notAfter;
    if (live && fitting && equalBytes(openRecord(epoch.record!, epoch.keys.recordKey), fitting.body)) {
      // Put again at a restart; while running, every namespace has it already.
      if (!this.#announced.has(number)) this.#announce(epoch);
      return;
    }
    const prekey = fitting ?? (await this.#newPrekey(number, epoch, notAfter));
    if (!fitting) this.#adopt(epoch, prekey);
    const sealed = epochRecord(epoch, this.#nextSeq(epoch), notAfter, prekey.body, this.#init.random);
    // With its prekey, also one that is there: an earlier attempt to store it may have failed.
    await this.#replace([[epoch, sealed]], [this.#init.store.writePrekey(prekey)]);
    if (this.#aborter.signal.aborted) return;
    this.#attach(epoch);
    this.#announce(epoch);
  }

  #fits(epoch: Epoch, notAfter: number, { secret, body }: StoredPrekey): boolean {
    const prekey = this.#init.publicOf(secret);
    return this.#init.bodies.fits(body, { prekey, owner: epoch.owner.publicKey, notAfter });
  }

  async #newPrekey(number: number, epoch: Epoch, notAfter: number): Promise<StoredPrekey> {
    const { random, publicOf, bodies } = this.#init;
    const secret = random(KEY_BYTES);
    const place = { prekey: publicOf(secret), owner: epoch.owner.publicKey, notAfter };
    const body = await bodies.make(place, this.#ending.signal);
    return { name: `${number}-${epoch.prekeys.length}`, epoch: number, secret, body };
  }

  #adopt(epoch: Epoch, prekey: StoredPrekey): void {
    epoch.inbox.add(prekey);
    epoch.prekeys.push(prekey);
  }

  #nextSeq(epoch: Epoch, heard = 0): number {
    return Math.max((epoch.record?.seq ?? 0) + 1, heard + 1, Math.floor(this.#init.clock.now()));
  }

  #tombstone(epoch: Epoch, reason: TombstoneReason, heard = 0): Uint8Array {
    return epochTombstone(epoch, this.#nextSeq(epoch, heard), epoch.maxNotAfter, reason);
  }

  /** Stores, and only then takes for true. */
  async #replace(changes: readonly (readonly [Epoch, Uint8Array])[], more: readonly StoreWrite[] = []): Promise<void> {
    const next = changes.map(([epoch, bytes]) => {
      const record = decodeRecord(bytes);
      return { epoch, record, bytes, maxNotAfter: Math.max(epoch.maxNotAfter, record.notAfter) };
    });
    const { store } = this.#init;
    const writes = next.map(({ epoch, bytes, maxNotAfter }) =>
      store.writeRecord({ epoch: epoch.keys.epoch, bytes, maxNotAfter }),
    );
    if (writes.length + more.length > 0) await store.commit([...more, ...writes]);
    for (const { epoch, record, maxNotAfter } of next) Object.assign(epoch, { record, maxNotAfter });
  }

  #epoch(number: number): Epoch {
    const known = this.#epochs.get(number);
    if (known) return known;
    const { tag, ownerSeed, clock, makeInbox } = this.#init;
    const keys = tag.epoch(number);
    const owner = ownerKey(ownerSeed, number);
    const restorer = new Restorer(clock, (namespace) => {
      this.#put(epoch, namespace);
      this.#init.onEvent('restored');
    });
    const inbox = makeInbox(keys, keys.inbox(owner.publicKey), () => restorer.lost());
    const nothing = { watches: [], attached: false, record: undefined, maxNotAfter: 0, prekeys: [] };
    const epoch: Epoch = { keys, owner, inbox, restorer, ...nothing };
    this.#epochs.set(number, epoch);
    return epoch;
  }

  /** Inbox first, record after: whoever hears of the record can be heard. */
  #attach(epoch: Epoch): void {
    const { keys } = epoch;
    if (epoch.attached) return;
    epoch.attached = true;
    for (const namespace of this.#init.namespaces) {
      epoch.inbox.subscribe(namespace, { bridge: this.#init.bridge });
      epoch.restorer.add(namespace);
      const query = { id: keys.id, lookupKey: keys.lookupKey };
      const options = { signal: this.#aborter.signal };
      const watch = namespace.watch(query, this.#listener(epoch, namespace), options);
      watch.answered.catch((error: unknown) => this.#warn('a namespace cannot be watched', error));
      epoch.watches.push(watch);
    }
  }

  #announce(epoch: Epoch): void {
    this.#announced.add(epoch.keys.epoch);
    for (const namespace of this.#init.namespaces) this.#put(epoch, namespace);
    for (const again of this.#puttingAgain) again.after(epoch);
  }

  #put(epoch: Epoch, namespace: Namespace): void {
    const { record, keys } = epoch;
    if (!record || record.notAfter <= this.#seconds()) return;
    const options = { lookupKey: keys.lookupKey, bridge: this.#init.bridge, signal: this.#aborter.signal };
    const out = namespace.put(record.bytes, options);
    if (record.tombstone) {
      const arrived = (): void => void this.#tombstonesOut.delete(out);
      this.#tombstonesOut.add(out);
      out.then(arrived, arrived);
    }
    out.catch((error: unknown) => {
      if (this.#aborter.signal.aborted) return;
      this.#warn('a namespace did not take the record; it is offered again', error);
      epoch.restorer.lost(namespace);
    });
  }

  #listener(epoch: Epoch, namespace: Namespace): RecordListener {
    return (bytes, owner) => {
      // An empty place of somebody else is no business of ours: nobody makes us restore, and back off, with junk.
      if (bytes.length === 0 && owner && !equalBytes(owner, epoch.owner.publicKey)) return;
      this.#onHeard(epoch, namespace, bytes);
    };
  }

  /** What a namespace holds under our id. Nothing of it is believed before it verifies. */
  #onHeard(epoch: Epoch, namespace: Namespace, bytes: Uint8Array): void {
    const { record } = epoch;
    if (!record || (bytes.length > 0 && equalBytes(bytes, record.bytes))) return;
    let heard: RecordEnvelope | undefined;
    try {
      heard = decodeRecord(bytes);
    } catch {
      // Cleared, or overwritten by what is no record at all.
    }
    if (heard && !equalBytes(heard.owner, epoch.owner.publicKey)) {
      // A warning only: refusing would make whoever reads the billboard first its owner.
      if (this.#others.isNew(heard, epoch.keys.recordKey, this.#seconds())) this.#init.onEvent('already-published');
      return;
    }
    const newer = heard && heard.seq >= record.seq && equalBytes(heard.id, epoch.keys.id);
    if (newer && this.#checks.take() === 0 && verifyRecord(heard!)) this.#onOwn(epoch, heard!);
    else if (namespace.unchecked) epoch.restorer.lost(namespace);
  }

  /** Only our own seed signs so: this store was restored from a backup. What was used up stays so. */
  #onOwn(epoch: Epoch, heard: RecordEnvelope): void {
    const usedUp = tombstoneReason(heard, epoch.keys.macKey) === 'consumed' && this.#takenBack !== 'consumed';
    if (!usedUp || !this.#init.onConsumed()) this.#overtake(epoch, heard.seq);
  }

  /** We go on above what is out there. */
  #overtake(epoch: Epoch, seq: number): void {
    this.#queue(async () => {
      const { record, keys } = epoch;
      if (!record || record.seq > seq) return;
      const bytes = record.tombstone
        ? this.#tombstone(epoch, tombstoneReason(record, keys.macKey) ?? 'withdrawn', seq)
        : this.#renewed(epoch, record, seq);
      await this.#replace([[epoch, bytes]]);
      this.#announce(epoch);
    }).catch((error: unknown) => this.#warn('the record could not be renewed', error));
  }

  #renewed(epoch: Epoch, record: RecordEnvelope, heard: number): Uint8Array {
    const body = openRecord(record, epoch.keys.recordKey);
    return epochRecord(epoch, this.#nextSeq(epoch, heard), record.notAfter, body, this.#init.random);
  }

  async #forget(number: number, epoch: Epoch): Promise<void> {
    await this.#init.store.commit(this.#init.store.forgetEpoch(number));
    this.#release(epoch);
    this.#epochs.delete(number);
    this.#announced.delete(number);
  }

  async #forgetAccepted(): Promise<void> {
    const { store, accepted } = this.#init;
    const prekeys = [...this.#epochs.values()].flatMap((epoch) => epoch.prekeys.map(({ name }) => name));
    const over = accepted.over(new Set(prekeys));
    if (over.length === 0) return;
    await store.commit(store.forgetAccepted(over));
    accepted.forget(over);
  }

  #release(epoch: Epoch, away = false): void {
    epoch.restorer.close();
    epoch.inbox.close(away);
    for (const watch of epoch.watches) watch.close();
    for (const { secret } of epoch.prekeys) wipe(secret);
    epoch.keys.wipe();
  }

  #warn(message: string, error: unknown): void {
    const known: RdvError = toRdvError(error);
    if (known.code !== 'canceled') this.#init.log.warn(message, { code: known.code, reason: known.message });
  }
}
