import { randomBytes } from 'node:crypto';
import * as node from '@rdv/protocol/primitives/accelerated-node';
import * as noble from '@rdv/protocol/primitives/primitives-noble';

export const title = 'Primitives: node:crypto and the portable backend';

export async function open() {
  const [secret, nonce, block] = [randomBytes(32), randomBytes(12), randomBytes(16)];
  const messages = [20, 1400].map((length) => randomBytes(length));
  const cases = [];
  for (const [name, p] of [
    ['node', node],
    ['noble', noble],
  ]) {
    const theirs = p.x25519PublicKey(randomBytes(32));
    const pair = p.x25519KeyPair(secret);
    const publicKey = p.ed25519PublicKey(secret);
    const signature = p.ed25519Sign(secret, block);
    cases.push(
      { name: `${name}: X25519, key imported each time`, run: () => p.x25519(secret, theirs) },
      { name: `${name}: X25519, cached key pair`, run: () => pair.dh(theirs) },
      { name: `${name}: X25519 new key pair`, run: () => p.x25519KeyPair(randomBytes(32)) },
      { name: `${name}: Ed25519 sign`, run: () => p.ed25519Sign(secret, block) },
      { name: `${name}: Ed25519 verify`, run: () => p.ed25519Verify(publicKey, block, signature) },
      { name: `${name}: SHA-256 of 16 B`, run: () => p.sha256(block) },
      { name: `${name}: HMAC-SHA256 of 16 B`, run: () => p.hmacSha256(secret, block) },
      { name: `${name}: AES-128 block`, run: () => p.aes128EncryptBlock(block, block) },
    );
    for (const message of messages) {
      const run = () => p.chachaOpen(secret, nonce, block, p.chachaSeal(secret, nonce, block, message));
      cases.push({ name: `${name}: seal and open ${message.length} B`, run });
    }
  }
  for (const one of cases) if (one.name.startsWith('noble')) one.floor = one.name.replace('noble', 'node');
  return { cases };
}
