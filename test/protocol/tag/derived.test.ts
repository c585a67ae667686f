import { fromHex, toHex, utf8 } from '@rdv/protocol/core/bytes';
import { InvalidArgumentError } from '@rdv/protocol/core/errors';
import { epochOf, TagSecret } from '@rdv/protocol/tag/derived';
import { deriveTagSecret, realmOf } from '@rdv/protocol/tag/secret';
import { parseTag } from '@rdv/protocol/tag/tag';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { epochValues, lastingValues, randomSecret } from '../../reference/derive.js';
import vectors from '../../vectors/derived.json' with { type: 'json' };

const owner = fromHex(vectors.owner);

function hexOf(secret: TagSecret, epoch: number, theirOwner: Uint8Array): Record<string, string> {
  const values = secret.epoch(epoch);
  return {
    id: toHex(values.id),
    lookupKey: toHex(values.lookupKey),
    psk: toHex(values.psk),
    recordKey: toHex(values.recordKey),
    macKey: toHex(values.macKey),
    inbox: toHex(values.inbox(theirOwner)),
  };
}

it.each(vectors.cases)('$kind tag, realm "$realm"', async (one) => {
  const secret = await TagSecret.fromTag(parseTag(one.tag), utf8(one.realm));
  expect(toHex(secret.exportSecret())).toBe(one.tagSecret);
  expect(toHex(secret.beaconKey)).toBe(one.beaconKey);
  expect(toHex(secret.evidenceBinding)).toBe(one.evidenceBinding);
  for (const { epoch, ...expected } of one.epochs) expect(hexOf(secret, epoch, owner)).toEqual(expected);
});

it('equals the reference on any input', async () => {
  const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
  const epochs = fc.nat(2 ** 31 - 1);
  await fc.assert(
    fc.asyncProperty(bytes(16), fc.uint8Array({ maxLength: 64 }), epochs, bytes(32), async (tag, realm, epoch, own) => {
      const { newRandomTag } = await import('@rdv/protocol/tag/tag');
      const secret = await TagSecret.fromTag(
        newRandomTag(() => tag),
        realm,
      );
      const reference = randomSecret(Buffer.from(tag), Buffer.from(realm));
      expect(toHex(secret.exportSecret())).toBe(reference.toString('hex'));
      expect(hexOf(secret, epoch, own)).toEqual(epochValues(reference, epoch, Buffer.from(own)));
      expect({ beaconKey: toHex(secret.beaconKey), evidenceBinding: toHex(secret.evidenceBinding) }).toEqual(
        lastingValues(reference),
      );
    }),
    { numRuns: 40, seed: 11 },
  );
});

describe('faults of earlier systems', () => {
  it('realm and tag cannot run into each other', async () => {
    const random = vectors.cases.find((one) => one.kind === 'random')!.tag;
    const secrets = ['', 'a', 'ab'].map((realm) => deriveTagSecret(parseTag(random), utf8(realm)));
    expect(new Set((await Promise.all(secrets)).map(toHex)).size).toBe(3);
  });

  it('nothing stays the same from one day to the next but what has to', () => {
    const secret = new TagSecret(new Uint8Array(32).fill(7));
    const [today, tomorrow] = [hexOf(secret, 20_000, owner), hexOf(secret, 20_001, owner)];
    const all = [...Object.values(today), ...Object.values(tomorrow)];
    expect(new Set(all).size).toBe(12);
  });
});

it('counts days', () => {
  expect([epochOf(0), epochOf(86_399.999), epochOf(86_400)]).toEqual([0, 0, 1]);
  for (const bad of [-1, Number.NaN, Number.POSITIVE_INFINITY, 86_400 * 2 ** 32]) {
    expect(() => epochOf(bad), String(bad)).toThrow(InvalidArgumentError);
  }
});

it('refuses wrong arguments', async () => {
  const tag = parseTag('x');
  for (const { realm } of vectors.mustFail) {
    await expect(deriveTagSecret(tag, utf8(realm))).rejects.toThrow('"realm" expected at most 64 bytes, got 65');
    expect(() => realmOf(realm)).toThrow(InvalidArgumentError);
  }
  await expect(deriveTagSecret(tag, 'realm' as unknown as Uint8Array)).rejects.toThrow('"realm" expected bytes');
  expect(() => realmOf('\ud800')).toThrow(InvalidArgumentError);
  expect(realmOf('cafe\u0301')).toEqual(utf8('caf\u00e9'));
  expect(() => new TagSecret(new Uint8Array(31))).toThrow('"secret" expected 32 bytes, got 31');
  expect(() => new TagSecret(new Uint8Array(32)).epoch(1.5)).toThrow('"epoch"');
});

it('is of no use after wipe', () => {
  const secret = new TagSecret(new Uint8Array(32).fill(1));
  const values = secret.epoch(1);
  secret.wipe();
  secret.wipe();
  expect(() => secret.epoch(2)).toThrow('wiped');
  expect(() => secret.beaconKey).toThrow('wiped');
  expect(() => values.inbox(owner)).toThrow('wiped');
  values.wipe();
  expect(values.psk).toEqual(new Uint8Array(32));
});
