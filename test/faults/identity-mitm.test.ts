// A man in the middle who knows the tag and controls the broker, SPEC §6: he can stop a conversation, but not be taken for anybody.
import type { Conversation, ConversationInit } from '@rdv/protocol/conversation/api';
import { FrameOpener, FrameSealer } from '@rdv/protocol/conversation/frame';
import { firstGeneration } from '@rdv/protocol/conversation/generations';
import { decodeItems, type Item, ItemWriter } from '@rdv/protocol/conversation/items';
import { shortAuthString } from '@rdv/protocol/conversation/sas';
import { MemoryStore } from '@rdv/protocol/core/memory-store';
import { MemoryNamespace } from '@rdv/protocol/namespace/memory';
import { MemoryHub } from '@rdv/protocol/namespace/memory-hub';
import type { Namespace } from '@rdv/protocol/namespace/port';
import { publish } from '@rdv/protocol/rendezvous/publish';
import { respond } from '@rdv/protocol/rendezvous/respond';
import { describe, expect, it } from 'vitest';
import { newSigner, tagOf } from '../protocol/rendezvous/identity-rig.js';
import { acceptedBy, Rig, random } from '../protocol/rendezvous/rig.js';

/** An end of a conversation in the attacker's hands: it says what he wants, and shows him all he hears. */
class RawEnd {
  readonly heard: Item[] = [];
  readonly init: ConversationInit;
  readonly #carrier: Namespace;
  readonly #queue: Uint8Array;
  readonly #sealer: FrameSealer;

  constructor(init: ConversationInit) {
    this.init = init;
    this.#carrier = init.namespaces[0]!;
    const { seed, sendKey, receiveKey } = init.secrets;
    const peer = init.role === 'publisher' ? 'responder' : 'publisher';
    const out = firstGeneration(seed, init.role, sendKey);
    const back = firstGeneration(seed, peer, receiveKey);
    this.#queue = out.queue;
    this.#sealer = new FrameSealer(out.key, out.queue, random(8));
    const opener = new FrameOpener(back.key, back.queue);
    this.#carrier.subscribe(back.queue, (frame) => {
      const plaintext = opener.open(frame);
      if (plaintext) this.heard.push(...decodeItems(plaintext).map(copied));
    });
  }

  say(write: (writer: ItemWriter) => void): Promise<void> {
    const writer = new ItemWriter(new Uint8Array(8192));
    write(writer);
    return this.#carrier.send(this.#queue, this.#sealer.seal(writer.padded(32)));
  }

  last<T extends Item['type']>(type: T): Extract<Item, { type: T }> {
    return this.heard.findLast((item) => item.type === type) as Extract<Item, { type: T }>;
  }
}

/** Items are views into a frame that is used again. */
function copied(item: Item): Item {
  return Object.fromEntries(
    Object.entries(item).map(([key, value]) => [key, value instanceof Uint8Array ? value.slice() : value]),
  ) as unknown as Item;
}

/** The victim responds to the attacker, who responds to the genuine publisher. */
async function between() {
  const rig = new Rig();
  const signer = newSigner();
  const tag = tagOf(signer);
  const here = rig.client();
  // Two brokers stand for one that tells everybody something else.
  const hub = new MemoryHub({ clock: rig.clock });
  const genuine = acceptedBy(
    await publish(tag, { signer }, { ...rig.around, store: new MemoryStore(), namespaces: [new MemoryNamespace(hub)] }),
  );
  const ends: RawEnd[] = [];
  const openConversation = (init: ConversationInit): Conversation => {
    ends.push(new RawEnd(init));
    return { close: async () => {} } as Conversation;
  };
  const attacker = { ...rig.around, openConversation };
  await publish(tag, {}, { ...attacker, store: new MemoryStore(), namespaces: [here] });
  await rig.settle(respond(tag, { anonymousFirst: true }, { ...attacker, namespaces: [new MemoryNamespace(hub)] }));
  const victim = await rig.settle(rig.respond({ anonymousFirst: true }, { tag }));
  await rig.clock.advance(10);
  const [toPublisher, toVictim] = [ends[0]!, ends[1]!];
  await toPublisher.say((writer) => writer.open(toPublisher.init.sas));
  await rig.clock.advance(10);
  return { rig, tag, signer, victim, publisher: genuine[0]!, toPublisher, toVictim };
}

describe('the man in the middle', () => {
  it('cannot pass on a proof: it is about another channel', async () => {
    const { rig, victim, toPublisher, toVictim } = await between();
    const asked = victim.challenge({ timeoutMs: 20_000 });
    asked.catch(() => {});
    await rig.clock.advance(10);
    const { nonce } = toVictim.last('challenge');
    await toPublisher.say((writer) => writer.challenge(nonce));
    await rig.clock.advance(10);
    const proof = toPublisher.last('proof');
    expect(proof.nonce).toEqual(nonce);
    expect(proof.body.length).toBeGreaterThan(100);
    await toVictim.say((writer) => writer.proof(nonce, proof.body));
    await expect(rig.settle(asked)).rejects.toMatchObject({ code: 'authentication-failed', reason: 'bad-signature' });
    expect(victim.trust.level).toBe('anonymous');
  });

  it('cannot hand the victim its own proof back', async () => {
    const { rig, toPublisher, publisher, signer } = await between();
    const asked = publisher.challenge({ policy: { keys: [signer.identity.fingerprint] }, timeoutMs: 20_000 });
    asked.catch(() => {});
    await rig.clock.advance(10);
    // The same question, asked of the one who asks: its answer names another role.
    const { nonce } = toPublisher.last('challenge');
    await toPublisher.say((writer) => writer.challenge(nonce));
    await rig.clock.advance(10);
    const { body } = toPublisher.last('proof');
    await toPublisher.say((writer) => writer.proof(nonce, body));
    await expect(rig.settle(asked)).rejects.toMatchObject({ reason: 'bad-signature' });
  });

  it('cannot replay a proof, nor offer one that nobody asked for', async () => {
    const { rig, publisher, toPublisher, victim, toVictim } = await between();
    await toVictim.say((writer) => writer.proof(random(32), new Uint8Array(40)));
    await rig.clock.advance(10);
    expect(victim.trust.level).toBe('anonymous');
    await toPublisher.say((writer) => writer.challenge(new Uint8Array(32).fill(3)));
    await rig.clock.advance(10);
    const old = toPublisher.last('proof');
    const asked = publisher.challenge({ timeoutMs: 3000 });
    asked.catch(() => {});
    await rig.clock.advance(10);
    // Under its old question it is passed over; under the new one it is no signature.
    await toPublisher.say((writer) => writer.proof(old.nonce, old.body));
    await rig.clock.advance(10);
    await toPublisher.say((writer) => writer.proof(toPublisher.last('challenge').nonce, old.body));
    await expect(rig.settle(asked)).rejects.toMatchObject({ reason: 'bad-signature' });
  });

  it('is seen by two people who compare the short authentication string', async () => {
    const { victim, publisher } = await between();
    expect(publisher.sas).toBeDefined();
    expect(victim.sas).not.toEqual(publisher.sas);
    expect(victim.channelBinding).not.toEqual(publisher.channelBinding);
  });

  it('is not spoken to at all by default', async () => {
    const { rig, tag } = await between();
    await expect(rig.settle(rig.respond({ noWait: true }, { tag }))).rejects.toMatchObject({ reason: 'no-identity' });
  });
});

describe('an attacker who grinds for an equal short authentication string', () => {
  const short = (h: Uint8Array, r: Uint8Array): string => shortAuthString(h, r).digits.slice(0, 2);
  /** Tries ephemeral keys, each of which gives another h, until the string looks like `target`. */
  const grind = (target: string, r: Uint8Array): Uint8Array => {
    for (;;) {
      const h = random(32);
      if (short(h, r) === target) return h;
    }
  };
  const trials = 100;

  it('would always find one if r were known when he chooses his key', () => {
    for (let i = 0; i < 10; i++) {
      const [r, target] = [random(32), short(random(32), random(32))];
      expect(short(grind(target, r), r)).toBe(target);
    }
  });

  it('finds none: r is shown when his key is fixed, and was committed to before', () => {
    let equal = 0;
    for (let i = 0; i < trials; i++) {
      const target = short(random(32), random(32));
      // All that he can grind against is a guess of r.
      const h = grind(target, random(32));
      if (short(h, random(32)) === target) equal++;
    }
    // One in a hundred by chance, with these two digits; one in 10^13 with all. Twelve and more of the hundred trials: 5e-10.
    expect(equal).toBeLessThan(12);
  });
});
