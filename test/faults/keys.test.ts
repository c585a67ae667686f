/**
 * Keys: none serves for two responders, for two directions, or after its time; none comes cheaply from a text tag.
 * (Earlier systems had one Diffie-Hellman key for all responders and for ever, gave both ends the keys of both queues,
 * and stretched tags by PBKDF2 with 10,000 rounds.)
 */
import { scryptSync } from 'node:crypto';
import type { ConversationInit } from '@rdv/protocol/conversation/api';
import { openConversation } from '@rdv/protocol/conversation/open';
import { equalBytes, toHex, utf8 } from '@rdv/protocol/core/bytes';
import { MemoryStore } from '@rdv/protocol/core/memory-store';
import type { StoreWrite } from '@rdv/protocol/core/ports';
import { HandshakeState } from '@rdv/protocol/noise/handshake-state';
import { x25519KeyPair } from '@rdv/protocol/primitives/primitives-node';
import { bodyHash } from '@rdv/protocol/record/body';
import { decodeResponse, handshakePrologue } from '@rdv/protocol/rendezvous/messages';
import { PublicationStore } from '@rdv/protocol/rendezvous/publication-store';
import { publish } from '@rdv/protocol/rendezvous/publish';
import { respond } from '@rdv/protocol/rendezvous/respond';
import { deriveTagSecret } from '@rdv/protocol/tag/secret';
import { newRandomTag, parseTag } from '@rdv/protocol/tag/tag';
import { describe, expect, it } from 'vitest';
import { Rig, random } from '../protocol/rendezvous/rig.js';

/** Remembers everything that was ever written. */
class RecordingStore extends MemoryStore {
  readonly written: string[] = [];
  override async commit(writes: readonly StoreWrite[]): Promise<void> {
    for (const { value } of writes) if (value) this.written.push(toHex(value));
    await super.commit(writes);
  }
}

function scene() {
  const rig = new Rig();
  const inits: ConversationInit[] = [];
  const secrets: Record<string, Uint8Array>[] = [];
  const open = (init: ConversationInit) => {
    inits.push(init);
    const { sendKey, receiveKey, seed } = init.secrets;
    secrets.push({ sendKey: sendKey.slice(), receiveKey: receiveKey.slice(), seed: seed.slice() });
    return openConversation(init);
  };
  return { rig, inits, secrets, around: { ...rig.around, openConversation: open } };
}

describe('keys of a conversation', () => {
  it('are gone from the store once the responder was heard, and the store does not give them back with the traffic', async () => {
    const { rig, secrets, around } = scene();
    const store = new RecordingStore();
    const { tag } = rig;
    const publication = await publish(tag, {}, { ...around, store, namespaces: [rig.client()] });
    const carried: Uint8Array[] = [];
    const client = rig.client();
    const send = client.send.bind(client);
    client.send = (queue, frame) => {
      carried.push(frame.slice());
      return send(queue, frame);
    };
    const hello = utf8('not forward-secret');
    const conversation = await rig.settle(respond(tag, { hello }, { ...around, namespaces: [client] }));
    await rig.settle(conversation.send(utf8('secret')));
    await rig.clock.advance(100);
    const kept = store
      .list('')
      .map(([, value]) => toHex(value))
      .join(' ');
    for (const { sendKey, receiveKey, seed } of secrets) {
      // It could have been found: until the first frame it was there.
      expect(store.written.some((value) => value.includes(toHex(seed!)))).toBe(true);
      for (const key of [sendKey!, receiveKey!, seed!]) expect(kept).not.toContain(toHex(key));
    }
    // The thief has store, tag and every frame. Message 1 opens to him, as documented …
    const epoch = tag.epoch(Math.floor(rig.clock.now() / 86_400_000));
    const [prekey] = new PublicationStore(store, publication.handle).prekeys();
    const handshake = (): HandshakeState =>
      new HandshakeState({
        pattern: 'NKpsk0',
        role: 'responder',
        random,
        prologue: handshakePrologue(epoch.id, bodyHash(prekey!.body)),
        staticKeys: x25519KeyPair(prekey!.secret),
        psks: [epoch.psk],
      });
    const { noise1 } = decodeResponse(carried[0]!);
    const thief = handshake();
    expect(toHex(thief.readMessage(noise1))).toContain(toHex(hello));
    // … and goes on to other keys than those of the conversation, for the publisher's ephemeral key is nowhere.
    const answer = thief.writeMessage(new Uint8Array(256));
    expect(answer.length).toBeGreaterThan(0);
    const { send: a, receive: b } = thief.split();
    for (const { sendKey, receiveKey } of secrets) {
      for (const key of [a, b]) expect(equalBytes(key, sendKey!) || equalBytes(key, receiveKey!)).toBe(false);
    }
  });

  it('are two, one a direction, and others for every responder', async () => {
    const { rig, secrets, around } = scene();
    const { tag } = rig;
    await publish(tag, {}, { ...around, store: new MemoryStore(), namespaces: [rig.client()] });
    for (let i = 0; i < 2; i++) await rig.settle(respond(tag, {}, { ...around, namespaces: [rig.client()] }));
    expect(secrets).toHaveLength(4);
    const all = secrets.flatMap(({ sendKey, receiveKey }) => [toHex(sendKey!), toHex(receiveKey!)]);
    // Two conversations with two directions each; both ends of one know the same two.
    expect(new Set(all).size).toBe(4);
    for (const { sendKey, receiveKey } of secrets) expect(toHex(sendKey!)).not.toBe(toHex(receiveKey!));
  });

  it('do not open what comes back: frames reflected to their sender change nothing', async () => {
    const rig = new Rig();
    const [there, here] = [rig.client(), rig.client()];
    const publication = await rig.publish({}, { namespaces: [there] });
    const queues = new Map<string, Uint8Array>();
    const frames: Uint8Array[] = [];
    for (const client of [there, here]) {
      const [subscribe, send] = [client.subscribe.bind(client), client.send.bind(client)];
      client.subscribe = (queue, onFrame) => {
        queues.set(toHex(queue), queue.slice());
        return subscribe(queue, onFrame);
      };
      client.send = (queue, frame) => {
        frames.push(frame.slice());
        return send(queue, frame);
      };
    }
    const mine = await rig.settle(rig.respond({}, { namespaces: [here] }));
    const next = publication[Symbol.asyncIterator]().next();
    const { value: theirs } = await rig.settle(next);
    await rig.settle(mine.send(utf8('once')));
    const carrier = rig.client();
    for (const queue of queues.values()) for (const frame of frames.slice(0, 20)) await carrier.send(queue, frame);
    await rig.clock.advance(1000);
    const heard: Uint8Array[] = [];
    await rig.settle(mine.end());
    await rig.settle(theirs.end());
    for await (const message of theirs) heard.push(message);
    expect(heard).toEqual([utf8('once')]);
    for await (const message of mine) heard.push(message);
    expect(heard).toHaveLength(1);
  });
});

describe('a text tag', () => {
  it('costs whoever guesses one scrypt of 128 MiB a guess, and a random one nothing', async () => {
    const text = 'billboard on Rte. 101';
    const salt = await import('node:crypto').then(({ createHash }) =>
      createHash('sha256')
        .update('rdv1 realm')
        .update(Buffer.from([0, 0]))
        .digest(),
    );
    // What the processor did, whatever others made it do meanwhile.
    const work = (since?: NodeJS.CpuUsage): number => {
      const { user, system } = process.cpuUsage(since);
      return user + system;
    };
    const stretching = process.cpuUsage();
    const expected = scryptSync(Buffer.concat([Buffer.from([0]), Buffer.from(text)]), salt, 32, {
      N: 2 ** 17,
      r: 8,
      p: 1,
      maxmem: 2 ** 28,
    });
    const one = work(stretching);
    expect(toHex(await deriveTagSecret(parseTag(text)))).toBe(expected.toString('hex'));
    const drawing = process.cpuUsage();
    for (let i = 0; i < 50; i++) await deriveTagSecret(newRandomTag(random));
    // Fifty of them together less than one of those.
    expect(work(drawing)).toBeLessThan(one);
  });
});
