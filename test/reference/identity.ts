/**
 * The vectors of identity tags, evidence and proofs (SPEC §6). Keys and their DER are OpenSSL's work, by node:crypto; the forms around
 * them are built here, sharing no code with `protocol/`.
 */
import { createHash, createPrivateKey, createPublicKey, ECDH, type KeyObject, sign } from 'node:crypto';
import { identitySecret } from './derive.js';

const sha = (...parts: readonly Buffer[]): Buffer => createHash('sha256').update(Buffer.concat(parts)).digest();
const pkcs8 = (seed: Buffer): KeyObject => {
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
};
const spkiOf = (key: KeyObject): Buffer => createPublicKey(key).export({ type: 'spki', format: 'der' });

/** Made once by `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048`. */
const RSA_PEM = `-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEArLjJEP5AMSVWroVHDaTL
yFRkCi1N/rVDTla6uBpQVvgsT2J5W8yzTqAI2J3Ys4YqnpNU9jlSZWC9iYw3HYDQ
lt8QgaHf0WA5bDEEADIDu8oMnrzUAXQeVF0ivsrq4UUQ3klhs1pQmb+DRrirGIIF
1FtL+V3g5EYp+Mws+a3BuNccx36gQWpv4HJkZWF4RGiwG9MOLmDpazGnQJ9cQ4ay
bKY70noTmxLEvZjN4gGGDaXYdkoKfrPnF7pJPnmLjOr8KwiKVv3IMF+oNBy3hN1R
jeIgdG/R48XPU+LIwuHizb7SlraMdwWzS2OA+NaX0k+CxiYrCwS9gIFeGw+C4T9Y
aQIDAQAB
-----END PUBLIC KEY-----
`;

function base58(data: Buffer): string {
  let number = BigInt(`0x${data.toString('hex')}`);
  let text = '';
  for (; number > 0n; number /= 58n) {
    text = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'[Number(number % 58n)] + text;
  }
  return text;
}

function pem(label: string, der: Buffer): string {
  return `-----BEGIN ${label}-----\n${der
    .toString('base64')
    .match(/.{1,64}/g)!
    .join('\n')}\n-----END ${label}-----\n`;
}

const ni = (fingerprint: Buffer): string => `ni:///sha-256;${fingerprint.toString('base64url')}`;

function ed25519Key(seed: Buffer) {
  const spki = spkiOf(pkcs8(seed));
  const raw = spki.subarray(-32);
  const string = (content: Buffer): Buffer => Buffer.concat([Buffer.from([0, 0, 0, content.length]), content]);
  const line = `ssh-ed25519 ${Buffer.concat([string(Buffer.from('ssh-ed25519')), string(raw)]).toString('base64')}`;
  const didKey = `did:key:z${base58(Buffer.concat([Buffer.from('ed01', 'hex'), raw]))}`;
  const spellings = [didKey, line, `${line} me@host`, `${line}\tdid:key: and more`, pem('PUBLIC KEY', spki)];
  return { kind: 'ed25519', spki, spellings };
}

function p256Key(secret: Buffer) {
  const ecdh = createECDHKey(secret);
  const point = ecdh.uncompressed;
  const jwk = {
    kty: 'EC',
    crv: 'P-256',
    x: point.subarray(1, 33).toString('base64url'),
    y: point.subarray(33).toString('base64url'),
  };
  const spki = createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'der' });
  const short = Buffer.concat([
    Buffer.from('3039301306072a8648ce3d020106082a8648ce3d030107032200', 'hex'),
    ecdh.compressed,
  ]);
  const didKey = `did:key:z${base58(Buffer.concat([Buffer.from('8024', 'hex'), ecdh.compressed]))}`;
  const spellings = [didKey, pem('PUBLIC KEY', spki), pem('PUBLIC KEY', short).replaceAll('\n', '\r\n')];
  return { kind: 'p256', spki, spellings };
}

/** The point of a compressed base times `secret`, through a PKCS #8 that OpenSSL completes. */
function createECDHKey(secret: Buffer): { uncompressed: Buffer; compressed: Buffer } {
  const sec1 = Buffer.concat([
    Buffer.from('30310201010420', 'hex'),
    secret,
    Buffer.from('a00a06082a8648ce3d030107', 'hex'),
  ]);
  const spki = spkiOf(createPrivateKey({ key: sec1, format: 'der', type: 'sec1' }));
  const uncompressed = spki.subarray(-65);
  const compressed = ECDH.convertKey(uncompressed, 'prime256v1', undefined, undefined, 'compressed') as Buffer;
  return { uncompressed, compressed };
}

function rsaKey() {
  const key = createPublicKey(RSA_PEM);
  const spki = key.export({ type: 'spki', format: 'der' });
  const pkcs1 = key.export({ type: 'pkcs1', format: 'der' });
  return { kind: 'rsa', spki, spellings: [RSA_PEM, pem('RSA PUBLIC KEY', pkcs1), RSA_PEM.replace(/\n$/, '')] };
}

const u64 = (value: number): Buffer => {
  const out = Buffer.alloc(8);
  out.writeBigUInt64BE(BigInt(value));
  return out;
};

export function identityVectors(): object {
  const seed = sha(Buffer.from('identity seed'));
  const secret = sha(Buffer.from('identity secret'));
  const keys = [ed25519Key(seed), p256Key(secret), rsaKey()].map(({ kind, spki, spellings }) => {
    const fingerprint = sha(spki);
    return {
      kind,
      spki: spki.toString('hex'),
      fingerprint: fingerprint.toString('hex'),
      spellings: [...spellings, ni(fingerprint)],
    };
  });
  const [ed, ec, rsa] = keys as [(typeof keys)[0], (typeof keys)[0], (typeof keys)[0]];
  const print = (key: { fingerprint: string }): Buffer => Buffer.from(key.fingerprint, 'hex');
  const tags = [
    { tag: ed.spellings[0]!, prefix: '', secret: identitySecret('', print(ed), Buffer.alloc(0)) },
    {
      tag: `cafe\u0301@door@${ec.spellings[0]}`,
      prefix: 'café@door',
      secret: identitySecret('café@door', print(ec), Buffer.alloc(0)),
    },
  ].map((one) => ({ ...one, secret: one.secret.toString('hex') }));

  const [binding, owner, h, nonce] = ['binding', 'owner', 'h', 'nonce'].map((name) => sha(Buffer.from(name)));
  const body = Buffer.from('a4015820'.concat('11'.repeat(32), '020003000681', '01'), 'hex');
  const notAfter = 1_800_050_400;
  const evidence = Buffer.concat([Buffer.from('rdv1 evidence\0'), binding!, u64(notAfter), sha(body), owner!]);
  const proof = (role: number): Buffer => Buffer.concat([Buffer.from('rdv1 proof\0'), Buffer.from([role]), h!, nonce!]);
  const signed = (message: Buffer): string => sign(null, message, pkcs8(seed)).toString('hex');
  const shown = (message: Buffer, more: string): string =>
    `${more === '' ? 'a2' : 'a3'}01582c${ed.spki}035840${signed(message)}${more}`;
  return {
    keys,
    tags,
    mustFail: [
      { why: 'did:key of secp256k1', text: 'did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme' },
      { why: 'did:key with a fragment', text: `${ed.spellings[0]}#x` },
      { why: 'did:key cut off', text: ed.spellings[0]!.slice(0, -1) },
      { why: 'did:key with a 0', text: ed.spellings[0]!.replace(/.$/, '0') },
      { why: 'did:key in capitals', text: ed.spellings[0]!.replace('did', 'DID') },
      { why: 'did:key in another base', text: 'did:key:uWnothing' },
      {
        why: 'did:key of a point that is none',
        text: `did:key:z${base58(Buffer.from(`802402${'ff'.repeat(32)}`, 'hex'))}`,
      },
      { why: 'a key of small order', text: `did:key:z${base58(Buffer.from(`ed01${'00'.repeat(32)}`, 'hex'))}` },
      { why: 'ssh key cut off', text: ed.spellings[1]!.slice(0, -4) },
      { why: 'ssh line of another type inside', text: ed.spellings[1]!.replace('NTE5', 'NTE6') },
      { why: 'two ssh lines', text: `${ed.spellings[1]} a\n${ed.spellings[1]}` },
      { why: 'ni with an authority', text: ed.spellings.at(-1)!.replace('///', '//example.org/') },
      { why: 'ni of another hash', text: ed.spellings.at(-1)!.replace('256', '512') },
      { why: 'ni of another length', text: ed.spellings.at(-1)!.slice(0, -1) },
      { why: 'ni that is not canonical', text: ed.spellings.at(-1)!.replace(/.$/, '_') },
      { why: 'PEM without end', text: rsa.spellings[0]!.replace(/-----END[\s\S]*/, '') },
      { why: 'PEM with a wrong end', text: rsa.spellings[0]!.replace('END PUBLIC', 'END RSA PUBLIC') },
      { why: 'PEM of a private key', text: pem('PRIVATE KEY', Buffer.from('302e020100300506032b657004220420', 'hex')) },
      { why: 'PEM of two keys', text: rsa.spellings[0]! + rsa.spellings[0] },
      { why: 'PEM of a key with bytes behind it', text: pem('PUBLIC KEY', Buffer.from(`${ed.spki}00`, 'hex')) },
      {
        why: 'PEM of RSA with another exponent',
        text: rsa.spellings[0]!.replace('AgMBAAE', 'AgMBAAM').replace('QIDAQAB', 'QIDAQAD'),
      },
      { why: 'PEM of something else', text: pem('X509 CRL', Buffer.from('3000', 'hex')) },
      { why: 'an @ with nothing before it', text: `@${ed.spellings[0]}` },
      { why: 'a prefix of two lines', text: `door\n4@${ed.spellings[0]}` },
      { why: 'nothing behind the form', text: 'door@ni://' },
    ],
    evidence: {
      seed: seed.toString('hex'),
      binding: binding!.toString('hex'),
      owner: owner!.toString('hex'),
      body: body.toString('hex'),
      notAfter,
      message: evidence.toString('hex'),
      encoded: shown(evidence, `041a${notAfter.toString(16)}`),
    },
    proofs: ['publisher', 'responder'].map((role, number) => ({
      role,
      seed: seed.toString('hex'),
      channelBinding: h!.toString('hex'),
      nonce: nonce!.toString('hex'),
      message: proof(number).toString('hex'),
      encoded: shown(proof(number), ''),
    })),
  };
}
