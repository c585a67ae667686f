/** Ends that keep a store, crash, and come back; and a witness of every frame that they send. */
import type { Conversation, ConversationInit } from '@rdv/protocol/conversation/api';
import type { Durability, DurableInit } from '@rdv/protocol/conversation/durability';
import { type ConversationTuning, openConversation } from '@rdv/protocol/conversation/open';
import { openStoredConversation, storedConversations } from '@rdv/protocol/conversation/stored';
import { toHex } from '@rdv/protocol/core/bytes';
import { RdvError } from '@rdv/protocol/core/errors';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import { MemoryStore } from '@rdv/protocol/core/memory-store';
import type { Random, Store, StoreWrite } from '@rdv/protocol/core/ports';
import type { VirtualClock } from '@rdv/protocol/core/virtual-clock';
import { MemoryNamespace } from '@rdv/protocol/namespace/memory';
import { MemoryHub } from '@rdv/protocol/namespace/memory-hub';
import type { Namespace } from '@rdv/protocol/namespace/port';
import { secretsOf, seededRandom, testClock } from './support.js';

/** Every (queue, run, n) and what was sent under it. */
export class Witness {
  readonly #seen = new Map<string, string>();
  /** Frames that share key, run and number with different bytes: a nonce used twice. */
  repeated = 0;
  runs = new Set<string>();

  see(queue: Uint8Array, frame: Uint8Array): void {
    const place = toHex(queue) + toHex(frame.subarray(0, 16));
    const bytes = toHex(frame);
    this.runs.add(toHex(queue) + toHex(frame.subarray(0, 8)));
    const before = this.#seen.get(place);
    if (before !== undefined && before !== bytes) this.repeated++;
    this.#seen.set(place, bytes);
  }

  get frames(): number {
    return this.#seen.size;
  }

  watch<T extends Namespace>(namespace: T): T {
    const send = namespace.send.bind(namespace);
    namespace.send = (queue, frame, options) => {
      this.see(queue, frame);
      return send(queue, frame, options);
    };
    return namespace;
  }
}

/** A store of a machine that can lose power: from then on nothing is written and nobody is told. */
export class PowerStore implements Store {
  readonly #inner: MemoryStore;
  readonly #clock: VirtualClock;
  readonly #writeMs: number;
  #off = false;
  commits = 0;
  refuses = false;

  constructor(clock: VirtualClock, writeMs: number, entries?: ReadonlyMap<string, Uint8Array>) {
    this.#inner = new MemoryStore(entries);
    this.#clock = clock;
    this.#writeMs = writeMs;
  }

  get(key: string): Uint8Array | undefined {
    return this.#inner.get(key);
  }

  list(prefix: string): readonly (readonly [string, Uint8Array])[] {
    return this.#inner.list(prefix);
  }

  async commit(writes: readonly StoreWrite[]): Promise<void> {
    if (this.refuses) throw new RdvError('store', 'disk full');
    this.commits++;
    // Readers see it at once; whether it outlives the power is open until it resolves.
    if (this.#writeMs > 0) this.#durable ??= this.#inner.snapshot();
    await this.#inner.commit(writes);
    if (this.#writeMs > 0) {
      const order = ++this.#order;
      await new Promise<void>((resolve) => {
        this.#clock.schedule(this.#writeMs, () => {
          if (order === this.#order) this.#durable = undefined;
          resolve();
        });
      });
    }
    if (this.#off) await new Promise(() => {});
  }

  #durable: Map<string, Uint8Array> | undefined;
  #order = 0;

  /** @returns what the disk holds: with or without what was being written */
  powerOff(lucky: boolean): Map<string, Uint8Array> {
    this.#off = true;
    return (lucky ? undefined : this.#durable) ?? this.#inner.snapshot();
  }

  snapshot(): Map<string, Uint8Array> {
    return this.#inner.snapshot();
  }

  async close(): Promise<void> {}
}

export type Live = Conversation & { readonly durable: Durability };

export interface EndOptions {
  readonly writeMs?: number;
  readonly durable?: Partial<DurableInit>;
  readonly tuning?: ConversationTuning;
  readonly init?: Partial<ConversationInit>;
}

/** One end's machine: crashes and comes back with its store. */
export class Machine {
  readonly #rig: DurableRig;
  readonly role: 'publisher' | 'responder';
  readonly #options: EndOptions;
  store: PowerStore;
  namespace: MemoryNamespace;
  conversation!: Live;
  starts = 0;

  constructor(rig: DurableRig, role: 'publisher' | 'responder', options: EndOptions) {
    this.#rig = rig;
    this.role = role;
    this.#options = options;
    this.store = new PowerStore(rig.clock, options.writeMs ?? 0);
    this.namespace = rig.client();
  }

  /** Another one at every start, as a machine has it. */
  #random(): Random {
    return seededRandom(this.#rig.seed * 1000 + this.starts * 2 + (this.role === 'publisher' ? 1 : 0));
  }

  begin(): Live {
    const { durable, init, tuning } = this.#options;
    this.conversation = openConversation(
      {
        ...secretsOf(this.#rig.seed)[this.role],
        random: this.#random(),
        clock: this.#rig.clock,
        log: silentLogger,
        namespaces: [this.namespace],
        durable: { store: this.store, handle: this.role, ...durable },
        ...init,
      },
      tuning,
    ) as Live;
    return this.conversation;
  }

  /** The power goes. */
  crash(lucky = true): Map<string, Uint8Array> {
    const disk = this.store.powerOff(lucky);
    void this.namespace.close();
    this.store = new PowerStore(this.#rig.clock, this.#options.writeMs ?? 0, disk);
    return disk;
  }

  /** Comes back, from its own disk or from a backup. */
  restart(backup?: ReadonlyMap<string, Uint8Array>): Live {
    if (backup) this.store = new PowerStore(this.#rig.clock, this.#options.writeMs ?? 0, backup);
    this.namespace = this.#rig.client();
    this.starts++;
    if (!storedConversations(this.store).some(({ handle }) => handle === this.role)) {
      if (this.role === 'publisher') return this.begin();
      throw new Error('the responder has forgotten its conversation');
    }
    this.conversation = openStoredConversation(
      this.store,
      this.role,
      {
        clock: this.#rig.clock,
        log: silentLogger,
        random: this.#random(),
        namespaces: [this.namespace],
      },
      this.#options.tuning,
    );
    return this.conversation;
  }
}

export class DurableRig {
  readonly clock = testClock();
  readonly hub = new MemoryHub({ clock: this.clock });
  readonly witness = new Witness();
  readonly seed: number;
  readonly publisher: Machine;
  readonly responder: Machine;
  readonly #latencyMs: number;

  constructor(options: EndOptions & { seed?: number; latencyMs?: number } = {}) {
    this.seed = options.seed ?? 7;
    this.#latencyMs = options.latencyMs ?? 5;
    this.publisher = new Machine(this, 'publisher', options);
    this.responder = new Machine(this, 'responder', options);
  }

  client(): MemoryNamespace {
    return this.witness.watch(new MemoryNamespace(this.hub, { latencyMs: this.#latencyMs }));
  }

  begin(): void {
    this.publisher.begin();
    this.responder.begin();
  }
}
