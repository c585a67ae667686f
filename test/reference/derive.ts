/**
 * A second implementation of SPEC §2 and §8, naive and on node:crypto alone: it shares no code with `protocol/`, so that a
 * slip there cannot hide in a vector made by itself.
 */
import { createCipheriv, createHash, createHmac, scryptSync } from 'node:crypto';

const sha = (data: Buffer): Buffer => createHash('sha256').update(data).digest();
const hmac = (key: Buffer, data: Buffer): Buffer => createHmac('sha256', key).update(data).digest();
const be = (value: number, bytes: number): Buffer => Buffer.from(value.toString(16).padStart(2 * bytes, '0'), 'hex');

function aes(key: Buffer, block: Buffer): Buffer {
  const cipher = createCipheriv('aes-128-ecb', key, null);
  cipher.setAutoPadding(false);
  return Buffer.concat([cipher.update(block), cipher.final()]);
}

/** RFC 5869 §2.3; nothing here is longer than one block. */
function expand(prk: Buffer, info: Buffer, length: number): Buffer {
  return hmac(prk, Buffer.concat([info, Buffer.from([1])])).subarray(0, length);
}

export function realmSalt(realm: Buffer): Buffer {
  return sha(Buffer.concat([Buffer.from('rdv1 realm'), be(realm.length, 2), realm]));
}

export function textSecret(text: string, realm: Buffer): Buffer {
  const input = Buffer.concat([Buffer.from([0]), Buffer.from(text.normalize('NFC'), 'utf8')]);
  return scryptSync(input, realmSalt(realm), 32, { N: 131072, r: 8, p: 1, maxmem: 2 ** 28 });
}

export function identitySecret(prefix: string, fingerprint: Buffer, realm: Buffer): Buffer {
  const before = Buffer.from(prefix.normalize('NFC'), 'utf8');
  const input = Buffer.concat([Buffer.from([2]), be(before.length, 2), before, fingerprint]);
  return scryptSync(input, realmSalt(realm), 32, { N: 131072, r: 8, p: 1, maxmem: 2 ** 28 });
}

export function randomSecret(sixteen: Buffer, realm: Buffer): Buffer {
  return hmac(realmSalt(realm), Buffer.concat([Buffer.from([1]), sixteen]));
}

export function epochValues(secret: Buffer, epoch: number, owner: Buffer): Record<string, string> {
  const daily = (label: string, length: number, more: Buffer = Buffer.alloc(0)): string =>
    expand(secret, Buffer.concat([Buffer.from(label), be(epoch, 4), more]), length).toString('hex');
  return {
    id: daily('rdv1 id', 32),
    lookupKey: daily('rdv1 lookup', 32),
    psk: daily('rdv1 psk', 32),
    recordKey: daily('rdv1 record', 32),
    macKey: daily('rdv1 mac', 32),
    inbox: daily('rdv1 inbox', 16, owner),
  };
}

export function lastingValues(secret: Buffer): Record<string, string> {
  return {
    beaconKey: expand(secret, Buffer.from('rdv1 beacon'), 16).toString('hex'),
    evidenceBinding: expand(secret, Buffer.from('rdv1 evidence'), 32).toString('hex'),
  };
}

/** The Eddystone-EID computation, step by step as its specification tells it. */
export function eid(identityKey: Buffer, time: number, k: number): string {
  const first = Buffer.concat([Buffer.alloc(11), Buffer.from('ff0000', 'hex'), be(Math.floor(time / 65536), 2)]);
  const temporary = aes(identityKey, first);
  const rounded = Math.floor(time / 2 ** k) * 2 ** k;
  const second = Buffer.concat([Buffer.alloc(11), Buffer.from([k]), be(rounded, 4)]);
  return aes(temporary, second).subarray(0, 8).toString('hex');
}

/** `rdv1-` and six groups, by arithmetic on one large number. */
export function groups(sixteen: Buffer): string {
  const check = sha(Buffer.concat([Buffer.from('rdv1 tag'), sixteen]));
  // 128 bits and the first 22 of the checksum are 30 digits of 5 bits.
  let number = (BigInt(`0x${sixteen.toString('hex')}`) << 22n) | (BigInt(`0x${check.toString('hex')}`) >> (256n - 22n));
  let text = '';
  for (let i = 0; i < 30; i++, number >>= 5n) text = '0123456789abcdefghjkmnpqrstvwxyz'[Number(number & 31n)] + text;
  return `rdv1-${text.match(/.{5}/g)!.join('-')}`;
}

/** `rdv1 words` and thirteen words of `list`. */
export function words(sixteen: Buffer, list: readonly string[]): string {
  const check = sha(Buffer.concat([Buffer.from('rdv1 tag'), sixteen]));
  let number = (BigInt(`0x${sixteen.toString('hex')}`) << 15n) | (BigInt(`0x${check.toString('hex')}`) >> (256n - 15n));
  const out: string[] = [];
  for (let i = 0; i < 13; i++, number >>= 11n) out.unshift(list[Number(number & 2047n)]!);
  return `rdv1 words ${out.join(' ')}`;
}
