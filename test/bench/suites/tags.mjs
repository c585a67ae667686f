import { randomBytes, scryptSync } from 'node:crypto';
import { decodeAdvertisingData } from '@rdv/protocol/advert/beacon';
import { encodeNativeAdvert } from '@rdv/protocol/advert/native';
import { SCRYPT } from '@rdv/protocol/core/constants';
import { TagSecret } from '@rdv/protocol/tag/derived';
import { eidAt } from '@rdv/protocol/tag/eid';
import { EidResolver } from '@rdv/protocol/tag/eid-resolver';
import { deriveTagSecret } from '@rdv/protocol/tag/secret';
import { newRandomTag, parseTag } from '@rdv/protocol/tag/tag';

export const title = 'Tags, ephemeral ids, adverts';

const NOW = 1_790_000_000;

export async function open() {
  const text = parseTag('billboard on Rte. 101');
  const randomTag = newRandomTag((length) => Uint8Array.from(randomBytes(length)));
  const secret = await TagSecret.fromTag(randomTag);
  const key = secret.beaconKey;
  let epoch = 0;
  const bareScrypt = 'bare node:crypto: scrypt of the same cost';
  const cost = { ...SCRYPT, maxmem: 256 * SCRYPT.N * SCRYPT.r };
  const cases = [
    { name: 'tag secret of a text tag (scrypt)', unit: 'tag', floor: bareScrypt, run: () => deriveTagSecret(text) },
    { name: bareScrypt, unit: 'tag', run: () => scryptSync('billboard on Rte. 101', 'salt', 32, cost) },
    { name: 'tag secret of a random tag', unit: 'tag', run: () => deriveTagSecret(randomTag) },
    { name: 'values of an epoch', unit: 'epoch', run: () => secret.epoch(epoch++) },
    { name: 'ephemeral id', unit: 'id', run: () => eidAt(key, NOW) },
  ];
  for (const watched of [100, 100_000]) {
    const resolver = new EidResolver(NOW);
    for (let i = 1; i < watched; i++) resolver.add(randomBytes(16), i);
    resolver.add(key, 0);
    // One advert in a hundred is of a watched beacon.
    const adverts = Array.from({ length: 1000 }, (_, i) => {
      const eid = i % 100 === 0 ? eidAt(key, NOW) : Uint8Array.from(randomBytes(8));
      return encodeNativeAdvert({ eid, connectable: true, wantsBridging: true, hasMail: false, power: 2 });
    });
    const map = new Map(Array.from({ length: watched }, (_, i) => [randomBytes(8).toString('hex'), i]));
    for (const window of [-1, 0, 1]) map.set(Buffer.from(eidAt(key, NOW + 1024 * window)).toString('hex'), 0);
    const bareMap = `bare Map of ${watched} hex keys: id looked up`;
    cases.push(
      {
        name: bareMap,
        unit: 'id',
        batch: adverts.length,
        run: () => {
          for (const advert of adverts) map.get(Buffer.from(advert.buffer, advert.byteOffset + 22, 8).toString('hex'));
        },
      },
      {
        name: `adverts decoded and resolved, ${watched} watched`,
        floor: bareMap,
        unit: 'advert',
        batch: adverts.length,
        run: () => {
          for (const advert of adverts) resolver.resolve(decodeAdvertisingData(advert).eid);
        },
      },
      {
        name: `ids resolved, ${watched} watched`,
        floor: bareMap,
        unit: 'id',
        batch: adverts.length,
        run: () => {
          for (const advert of adverts) resolver.resolve(advert, 22);
        },
      },
    );
  }
  return { cases };
}
