/** A hub that misbehaves, from a seed. It has no key; it has everything that passes, and all the time it wants. */
import { toHex } from '@rdv/protocol/core/bytes';
import type { Clock, Random, Timer } from '@rdv/protocol/core/ports';
import { MemoryHub } from '@rdv/protocol/namespace/memory-hub';
import { decodeRecord } from '@rdv/protocol/record/envelope';
import { testOwner, testRecord } from '../../contract/records.js';

export interface Misdeeds {
  /** Share of the frames that it loses, hands to another queue, changes. */
  readonly drop?: number;
  readonly swap?: number;
  readonly garble?: number;
  /** Each frame is kept back for up to so long. */
  readonly delayMs?: number;
  /** Old frames that it sends again for each new one. */
  readonly replay?: number;
  readonly oldRecords?: boolean;
  readonly otherRecords?: boolean;
  /** Frames a second to every queue, and records a second to every id. */
  readonly flood?: number;
}

const KEPT_MAX = 20_000;
const FORGERIES = 64;

export class HostileHub extends MemoryHub {
  readonly #random: Random;
  readonly #misdeeds: Misdeeds;
  readonly #frames: { readonly queue: Uint8Array; readonly frame: Uint8Array }[] = [];
  readonly #queues = new Map<string, Uint8Array>();
  /** First record of each owner, by id. */
  readonly #first = new Map<string, Map<string, Uint8Array>>();
  readonly #forgeries = new Map<string, Uint8Array[]>();
  #flooding: Timer | undefined;
  /** Frames that it gave to somebody. */
  delivered = 0;
  /** What it did that it should not. */
  misdeeds = 0;
  keptBytes = 0;

  constructor(clock: Clock, random: Random, misdeeds: Misdeeds) {
    super({ clock, unchecked: true });
    this.#random = random;
    this.#misdeeds = misdeeds;
    if (misdeeds.flood) this.#flood(misdeeds.flood);
  }

  stop(): void {
    this.#flooding?.cancel();
  }

  override send(queue: Uint8Array, frame: Uint8Array): void {
    const { drop = 0, swap = 0, garble = 0, delayMs = 0, replay = 0 } = this.#misdeeds;
    this.#queues.set(toHex(queue), queue.slice());
    this.#keep(queue, frame);
    if (this.#chance(drop)) return;
    const to = this.#chance(swap) ? this.#pick([...this.#queues.values()]) : queue;
    const bytes = frame.slice();
    if (this.#chance(garble)) bytes[this.#below(bytes.length)]! ^= 1 + this.#below(255);
    if (delayMs > 0) {
      this.misdeeds++;
      this.clock.schedule(this.#below(delayMs), () => this.#give(to, bytes));
    } else this.#give(to, bytes);
    for (let i = 0; i < replay; i++) {
      this.misdeeds++;
      const old = this.#pick(this.#frames);
      this.#give(old.queue, old.frame);
    }
  }

  override put(client: symbol, bytes: Uint8Array, ownersPerClient: number, shown?: boolean): void {
    const { id, owner } = decodeRecord(bytes);
    const owners = this.#first.get(toHex(id)) ?? new Map<string, Uint8Array>();
    this.#first.set(toHex(id), owners);
    if (!owners.has(toHex(owner))) owners.set(toHex(owner), bytes.slice());
    super.put(client, bytes, ownersPerClient, shown);
  }

  override records(id: Uint8Array): readonly Uint8Array[] {
    const { oldRecords, otherRecords } = this.#misdeeds;
    const own = [...(this.#first.get(toHex(id))?.values() ?? [])];
    const served = oldRecords ? own : [...super.records(id)];
    if (oldRecords) this.misdeeds++;
    if (otherRecords) {
      for (const owners of this.#first.values()) for (const record of owners.values()) served.push(record);
      this.misdeeds++;
    }
    return served.map((record) => record.slice());
  }

  #flood(perSecond: number): void {
    this.#flooding = this.clock.schedule(1000, () => {
      for (let i = 0; i < perSecond; i++) {
        for (const queue of [...this.#queues.values()].slice(-64))
          this.#give(queue, this.#random(1 + this.#below(2000)));
        for (const id of [...this.#first.keys()].slice(-16)) super.put(Symbol('flood'), this.#forged(id), 64);
        this.misdeeds++;
      }
      this.#flood(perSecond);
    });
  }

  /** A record under `id` that verifies, of an owner nobody knows. */
  #forged(id: string): Uint8Array {
    const made = this.#forgeries.get(id) ?? [];
    this.#forgeries.set(id, made);
    if (made.length < FORGERIES) {
      const notAfter = Math.floor(this.clock.now() / 1000) + 80_000;
      made.push(testRecord({ id: Uint8Array.from(Buffer.from(id, 'hex')), owner: testOwner(), seq: 1, notAfter }));
    }
    return this.#pick(made);
  }

  #give(queue: Uint8Array, frame: Uint8Array): void {
    this.delivered++;
    super.send(queue, frame);
  }

  #keep(queue: Uint8Array, frame: Uint8Array): void {
    if (this.#frames.length >= KEPT_MAX) return;
    this.#frames.push({ queue: queue.slice(), frame: frame.slice() });
    this.keptBytes += queue.length + frame.length;
  }

  #below(limit: number): number {
    const [a = 0, b = 0, c = 0] = this.#random(3);
    return (a * 65_536 + b * 256 + c) % limit;
  }

  #chance(share: number): boolean {
    if (share === 0 || this.#below(10_000) >= share * 10_000) return false;
    this.misdeeds++;
    return true;
  }

  #pick<T>(all: readonly T[]): T {
    return all[this.#below(all.length)]!;
  }
}
