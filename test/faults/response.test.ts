/** What can be done to a publisher by who does not know the tag, by who does, and by the carrier. */
import { MemoryNamespace } from '@rdv/protocol/namespace/memory';
import { HandshakeState } from '@rdv/protocol/noise/handshake-state';
import { bodyHash, decodeBody, encodeBody, openRecord, sealRecord } from '@rdv/protocol/record/body';
import { decodeRecord, type RecordEnvelope } from '@rdv/protocol/record/envelope';
import { encodeResponse, encodeResponsePayload, handshakePrologue } from '@rdv/protocol/rendezvous/messages';
import { type EpochValues, epochOf, type TagSecret } from '@rdv/protocol/tag/derived';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { bytes, testOwner } from '../contract/records.js';
import { acceptedBy, newTag, Rig, random } from '../protocol/rendezvous/rig.js';

afterEach(() => vi.restoreAllMocks());

const keysOf = (rig: Rig, tag: TagSecret = rig.tag): EpochValues => tag.epoch(epochOf(rig.clock.now() / 1000));
const recordOf = (rig: Rig): RecordEnvelope => decodeRecord(rig.hub.records(keysOf(rig).id)[0]!);

/** A response as a tag knower makes it. `psk`, `macKey` and prologue may be wrong on purpose. */
function response(
  rig: Rig,
  more: { psk?: Uint8Array; macKey?: Uint8Array; prologue?: Uint8Array; replyQueue?: Uint8Array } = {},
) {
  const keys = keysOf(rig);
  const encoded = openRecord(recordOf(rig), keys.recordKey);
  const handshake = new HandshakeState({
    pattern: 'NKpsk0',
    role: 'initiator',
    random,
    prologue: more.prologue ?? handshakePrologue(keys.id, bodyHash(encoded)),
    remoteStatic: decodeBody(encoded).prekey,
    psks: [more.psk ?? keys.psk],
  });
  const payload = { replyQueue: more.replyQueue ?? random(16), commitment: random(32), abilities: [1] };
  const noise1 = handshake.writeMessage(encodeResponsePayload(payload));
  return { noise1, frame: encodeResponse(more.macKey ?? keys.macKey, noise1, 0) };
}

describe('responses', () => {
  it('without the tag burn no single-shot, whatever of the record is known', async () => {
    const rig = new Rig();
    const publication = await rig.publish({ lifecycle: 'single' });
    await rig.clock.advance(10);
    const record = recordOf(rig);
    const inbox = keysOf(rig).inbox(record.owner);
    const stranger = rig.client();
    const wrongTag = keysOf(rig, newTag());
    for (const macKey of [keysOf(rig).id, record.owner, new Uint8Array(32), wrongTag.macKey]) {
      await stranger.send(inbox, response(rig, { macKey }).frame);
    }
    // Even with the inbox's mac key: the psk is another secret.
    await stranger.send(inbox, response(rig, { psk: wrongTag.psk }).frame);
    await rig.clock.advance(100);
    expect(publication.status).toMatchObject({ lifecycle: 'published', accepted: 0 });
    expect(publication.status.counts.strangers).toBe(4);
    await rig.settle(rig.respond());
  });

  it('are bound to the tag, the epoch and exactly this record body', async () => {
    const rig = new Rig();
    const publication = await rig.publish();
    await rig.clock.advance(10);
    const { id } = keysOf(rig);
    const hash = bodyHash(openRecord(recordOf(rig), keysOf(rig).recordKey));
    const inbox = keysOf(rig).inbox(recordOf(rig).owner);
    const wrong = [handshakePrologue(random(32), hash), handshakePrologue(id, random(32)), new Uint8Array(0)];
    for (const prologue of wrong) await rig.client().send(inbox, response(rig, { prologue }).frame);
    await rig.clock.advance(100);
    expect(publication.status.accepted).toBe(0);
    await rig.client().send(inbox, response(rig).frame);
    await rig.clock.advance(100);
    expect(publication.status.accepted).toBe(1);
  });

  it('10,000 forged ones cost the publisher no Diffie-Hellman', async () => {
    const rig = new Rig();
    const publication = await rig.publish();
    await rig.clock.advance(10);
    const inbox = keysOf(rig).inbox(recordOf(rig).owner);
    const read = vi.spyOn(HandshakeState.prototype, 'readMessage');
    const stranger = rig.client();
    const { frame } = response(rig);
    for (let i = 0; i < 10_000; i++) {
      const forged = i % 2 === 0 ? bytes(frame.length) : frame.slice();
      forged[0] = 1;
      if (i % 2 === 1) forged[2 + (i % 16)]! ^= 1 + (i % 255);
      await stranger.send(inbox, forged);
    }
    await rig.clock.advance(100);
    expect(read).not.toHaveBeenCalled();
    expect(publication.status.counts).toMatchObject({ strangers: 10_000, handshakes: 0 });
  });

  it('10,000 by a tag knower leave it within its limits, and still reachable', async () => {
    const rig = new Rig();
    const publication = await rig.publish();
    await rig.clock.advance(10);
    const keys = keysOf(rig);
    const inbox = keys.inbox(recordOf(rig).owner);
    const flooder = rig.client();
    const length = response(rig).noise1.length;
    for (let i = 0; i < 10_000; i++) {
      // 50 whole ones; the others only pass mac1, which is all that the buckets see.
      const frame = i < 50 ? response(rig).frame : encodeResponse(keys.macKey, bytes(length), 0);
      await flooder.send(inbox, frame);
    }
    await rig.clock.advance(100);
    const { counts, unconfirmed } = publication.status;
    expect(counts.handshakes).toBeLessThanOrEqual(110);
    expect(counts.handshakes + counts.limited).toBe(10_000);
    expect(unconfirmed).toBeLessThanOrEqual(256);
    const started = rig.clock.now();
    await rig.settle(rig.respond());
    expect(rig.clock.now() - started).toBeLessThan(5000);
  });

  it('unconfirmed ones never fill an unlimited publication for longer than a minute, nor exceed 256', async () => {
    const rig = new Rig();
    const publication = await rig.publish();
    await rig.clock.advance(10);
    const inbox = keysOf(rig).inbox(recordOf(rig).owner);
    const flooder = rig.client();
    for (let i = 0; i < 300; i++) {
      await flooder.send(inbox, response(rig).frame);
      await rig.clock.advance(60);
    }
    expect(publication.status).toMatchObject({ unconfirmed: 256, accepted: 256 });
    await expect(rig.settle(rig.respond())).rejects.toMatchObject({ reason: 'busy' });
    await rig.clock.advance(60_000);
    await rig.settle(rig.respond());
    expect(publication.status.accepted).toBe(257);
    expect(publication.status.unconfirmed).toBeLessThanOrEqual(256);
  });

  it('replayed, flipped and truncated ones change nothing', async () => {
    const rig = new Rig();
    const publication = await rig.publish({ lifecycle: { limit: 2 } });
    const accepted = acceptedBy(publication);
    await rig.clock.advance(10);
    const inbox = keysOf(rig).inbox(recordOf(rig).owner);
    const carrier = rig.client();
    const replyQueue = random(16);
    const replies: Uint8Array[] = [];
    carrier.subscribe(replyQueue, (reply) => replies.push(reply));
    const { frame } = response(rig, { replyQueue });
    for (let i = 0; i < 20; i++) {
      const again = frame.slice();
      again[1] = i;
      await carrier.send(inbox, again);
    }
    for (let bit = 16; bit < frame.length * 8; bit += 37) {
      const bad = frame.slice();
      bad[bit >> 3]! ^= 1 << (bit & 7);
      await carrier.send(inbox, bad);
    }
    for (let length = 0; length < frame.length; length += 9) await carrier.send(inbox, frame.slice(0, length));
    await rig.clock.advance(100);
    expect(accepted).toHaveLength(1);
    expect(publication.status.accepted).toBe(1);
    // The same bytes every time, but for the `try` of what is answered.
    expect(replies.length).toBeGreaterThan(10);
    for (const reply of replies) expect(reply.slice(2)).toEqual(replies[0]!.slice(2));
    expect(new Set(replies.map((reply) => reply[1])).size).toBeGreaterThan(10);
  });
});

describe('replies', () => {
  it('replayed, flipped, truncated and invented ones neither open nor end anything', async () => {
    const rig = new Rig();
    const publication = await rig.publish();
    const client = rig.client();
    const honest = client.subscribe.bind(client);
    let flips = 0;
    vi.spyOn(client, 'subscribe').mockImplementation((queue, onFrame) =>
      honest(queue, (frame) => {
        // A carrier that sends everything in a broken form first.
        for (let bit = 0; bit < frame.length * 8; bit += 501, flips++) {
          const bad = frame.slice();
          bad[bit >> 3]! ^= 1 << (bit & 7);
          if (bit >= 16) onFrame(bad);
          onFrame(frame.slice(0, bit >> 3));
        }
        onFrame(frame);
        onFrame(frame.slice());
      }),
    );
    const conversation = await rig.settle(rig.respond({}, { namespaces: [client] }));
    expect(flips).toBeGreaterThan(3);
    await rig.settle(conversation.send(new Uint8Array(3)));
    expect(publication.status.accepted).toBe(1);
  });

  it('of one conversation do not serve another: every handshake has keys and binding of its own', async () => {
    const rig = new Rig();
    await rig.publish();
    const bindings = new Set<string>();
    for (let i = 0; i < 5; i++) {
      bindings.add(Buffer.from((await rig.settle(rig.respond())).channelBinding).toString('hex'));
    }
    expect(bindings.size).toBe(5);
  });
});

describe('records of hostile tag knowers', () => {
  it('with a prekey of small order are passed over, and somebody else is found', async () => {
    const rig = new Rig();
    const keys = keysOf(rig);
    const hostile = testOwner();
    const body = encodeBody({ prekey: new Uint8Array(32), lifecycle: 'unlimited', reach: 'any', abilities: [1] });
    const now = Math.floor(rig.clock.now() / 1000);
    const { recordKey, id } = keys;
    const place = { id, owner: hostile.publicKey, seq: 1, notAfter: now + 600, sign: hostile.sign };
    await rig.client().put(sealRecord({ ...place, recordKey, body, random }));
    await expect(rig.settle(rig.respond({ timeoutMs: 5000 }))).rejects.toMatchObject({ code: 'timeout' });
    await rig.publish();
    for (let i = 0; i < 4; i++) await rig.settle(rig.respond());
  });

  it('8 other owners under the id still leave every one reachable', async () => {
    const rig = new Rig();
    for (let i = 0; i < 7; i++) await (await rig.publish()).close();
    const alive = await rig.publish();
    const conversation = await rig.settle(rig.respond());
    expect(conversation.channelBinding).toHaveLength(32);
    expect(alive.status.accepted).toBe(1);
    expect(rig.client()).toBeInstanceOf(MemoryNamespace);
  });
});
