/** Publishers and responders around one memory hub, on a virtual clock. */
import { randomBytes } from 'node:crypto';
import type { Conversation } from '@rdv/protocol/conversation/api';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import { MemoryStore } from '@rdv/protocol/core/memory-store';
import type { Clock, Store } from '@rdv/protocol/core/ports';
import { VirtualClock } from '@rdv/protocol/core/virtual-clock';
import { MemoryNamespace, type MemoryNamespaceOptions } from '@rdv/protocol/namespace/memory';
import { MemoryHub } from '@rdv/protocol/namespace/memory-hub';
import type { Namespace } from '@rdv/protocol/namespace/port';
import { type Publication, type PublishOptions, publish } from '@rdv/protocol/rendezvous/publish';
import { type RespondOptions, respond } from '@rdv/protocol/rendezvous/respond';
import { TagSecret } from '@rdv/protocol/tag/derived';
import { expect } from 'vitest';

export const random = (length: number): Uint8Array => Uint8Array.from(randomBytes(length));
export const newTag = (): TagSecret => new TagSecret(random(32));

/** 2027-01-15, 12:00 UTC: the middle of an epoch. */
export const NOON_MS = 1_800_014_400_000;

export class Rig {
  readonly clock: VirtualClock;
  readonly hub: MemoryHub;
  readonly tag = newTag();

  constructor(options: { unchecked?: boolean; startMs?: number } = {}) {
    this.clock = new VirtualClock(options.startMs ?? NOON_MS, () => new Promise((resolve) => setImmediate(resolve)));
    this.hub = new MemoryHub({ clock: this.clock, unchecked: options.unchecked ?? false });
  }

  get around() {
    return { clock: this.clock, random, log: silentLogger };
  }

  client(options: MemoryNamespaceOptions = {}): MemoryNamespace {
    return new MemoryNamespace(this.hub, options);
  }

  publish(
    options: PublishOptions = {},
    more: { store?: Store; namespaces?: readonly Namespace[]; tag?: TagSecret; clock?: Clock } = {},
  ): Promise<Publication> {
    const { store = new MemoryStore(), namespaces = [this.client()], tag = this.tag, clock = this.clock } = more;
    return publish(tag, options, { ...this.around, clock, store, namespaces });
  }

  respond(
    options: RespondOptions = {},
    more: { namespaces?: readonly Namespace[]; tag?: TagSecret; clock?: Clock } = {},
  ): Promise<Conversation> {
    const { namespaces = [this.client()], tag = this.tag, clock = this.clock } = more;
    return respond(tag, options, { ...this.around, clock, namespaces });
  }

  /** The outcome of `promise`, while time passes. */
  async settle<T>(promise: Promise<T>, limitMs = 90_000): Promise<T> {
    let done = false;
    const mark = (): void => {
      done = true;
    };
    promise.then(mark, mark);
    expect(await this.clock.advanceUntil(() => done, limitMs)).toBe(true);
    return promise;
  }

  /** Every outcome, while time passes. */
  async settleAll<T>(promises: readonly Promise<T>[], limitMs = 90_000): Promise<PromiseSettledResult<T>[]> {
    return this.settle(Promise.allSettled(promises), limitMs);
  }
}

/** Collects what a publication accepts. */
export function acceptedBy(publication: Publication): Conversation[] {
  const conversations: Conversation[] = [];
  void (async () => {
    for await (const conversation of publication) conversations.push(conversation);
  })();
  return conversations;
}

/** Reasons of those that were refused. */
export function reasons(results: readonly PromiseSettledResult<unknown>[]): string[] {
  return results.flatMap((result) =>
    result.status === 'rejected'
      ? [(result.reason as { reason?: string; code: string }).reason ?? result.reason.code]
      : [],
  );
}
