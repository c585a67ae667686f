/** Whoever lacks the owner seed can neither take a publication back nor change it: not by what is public, nor by the tag. */

import { sealRecord } from '@rdv/protocol/record/body';
import { decodeRecord, encodeRecord } from '@rdv/protocol/record/envelope';
import { epochOf } from '@rdv/protocol/tag/derived';
import { describe, expect, it } from 'vitest';
import { bytes, testOwner } from '../contract/records.js';
import { Rig, random } from '../protocol/rendezvous/rig.js';

function scene(unchecked: boolean) {
  const rig = new Rig({ unchecked });
  const keys = rig.tag.epoch(epochOf(rig.clock.now() / 1000));
  return { rig, keys, published: () => decodeRecord(rig.hub.records(keys.id)[0]!) };
}

describe('taking a publication back', () => {
  it.each([
    false,
    true,
  ])('is not possible with keys from public values, nor from the tag (bare broker: %s)', async (bare) => {
    const { rig, keys, published } = scene(bare);
    await rig.publish();
    await rig.clock.advance(10);
    const record = published();
    const guesses = [keys.id, record.owner, record.nonce.slice(0, 32), keys.psk, keys.macKey, keys.lookupKey];
    guesses.push(keys.recordKey, rig.tag.exportSecret(), new Uint8Array(32), random(32));
    for (const guess of guesses) {
      const seed = new Uint8Array(32);
      seed.set(guess.subarray(0, 32));
      const forger = testOwner(seed);
      const fields = { ...record, seq: record.seq + 1000, nonce: new Uint8Array(24), sealed: new Uint8Array(0) };
      const tombstone = encodeRecord(fields, forger.sign);
      if (bare) await rig.client().put(tombstone);
      else await expect(rig.client().put(tombstone)).rejects.toMatchObject({ code: 'authentication-failed' });
      await rig.settle(rig.respond());
    }
  });

  it('is repaired within a second when a bare broker is overwritten or cleared, and nobody believes it meanwhile', async () => {
    const { rig, keys, published } = scene(true);
    const publication = await rig.publish();
    const events: string[] = [];
    publication.onEvent((event) => events.push(event));
    await rig.clock.advance(10);
    const record = published();
    const old = record.bytes;
    const junk = [null, bytes(0), bytes(700), new Uint8Array(7000), old.slice(0, 300)];
    for (const place of junk) {
      // Slowly enough that the back-off has forgotten.
      await rig.clock.advance(200_000);
      rig.hub.overwrite(record.id, record.owner, place);
      await expect(rig.settle(rig.respond({ noWait: true, timeoutMs: 90 }), 95)).rejects.toThrow();
      await rig.clock.advance(905);
      expect(rig.hub.records(keys.id)).toEqual([old]);
      await rig.settle(rig.respond());
    }
    expect(events.filter((event) => event === 'restored').length).toBe(junk.length);
  });

  it('an old record replayed over a tombstone is put right, and read by nobody who heard the tombstone', async () => {
    const { rig, keys, published } = scene(true);
    const publication = await rig.publish();
    await rig.clock.advance(10);
    const record = published();
    await rig.settle(publication.unpublish());
    await rig.clock.advance(10);
    expect(published().tombstone).toBe(true);
    rig.hub.overwrite(record.id, record.owner, record.bytes);
    // Whoever is fooled by the broker is refused by the publisher.
    await expect(rig.settle(rig.respond())).rejects.toMatchObject({ code: 'refused', reason: 'expired' });
    await rig.clock.advance(1000);
    expect(published().tombstone).toBe(true);
    expect(published().notAfter).toBe(record.notAfter);
    expect(keys.id).toEqual(record.id);
  });

  it('keeps the overwriter from racing: restoring slows down', async () => {
    const { rig, keys, published } = scene(true);
    const publication = await rig.publish();
    let restored = 0;
    publication.onEvent((event) => {
      if (event === 'restored') restored++;
    });
    await rig.clock.advance(10);
    const { owner } = published();
    for (let second = 0; second < 60; second++) {
      rig.hub.overwrite(keys.id, owner, null);
      await rig.clock.advance(1000);
    }
    expect(restored).toBeGreaterThan(3);
    expect(restored).toBeLessThan(15);
  });

  it('moving a sealed body to another place, owner or date does not open', async () => {
    const { rig, keys, published } = scene(true);
    await rig.publish();
    await rig.clock.advance(10);
    const record = published();
    const thief = testOwner();
    for (const changed of [{ owner: thief.publicKey }, { seq: record.seq + 1 }, { notAfter: record.notAfter - 1 }]) {
      const stolen = encodeRecord({ ...record, owner: thief.publicKey, ...changed }, thief.sign);
      rig.hub.overwrite(record.id, record.owner, null);
      await rig.client().put(stolen);
      let publishers = 0;
      await rig.settle(rig.respond({ onFound: (found) => (publishers = found.publishers) }));
      expect(publishers).toBe(1);
    }
    // The same thief with the tag can publish, under its own key: that is what a text tag proves.
    const body = new Uint8Array(8);
    const own = sealRecord({
      ...record,
      owner: thief.publicKey,
      recordKey: keys.recordKey,
      body,
      random,
      sign: thief.sign,
    });
    expect(decodeRecord(own).owner).toEqual(thief.publicKey);
  });
});
