import { diffieHellman, generateKeyPairSync, randomBytes } from 'node:crypto';
import { HandshakeState } from '@rdv/protocol/noise/handshake-state';
import { x25519KeyPair } from '@rdv/protocol/primitives/primitives-node';

export const title = 'Noise handshakes, both sides, with Split';

const random = (length) => Uint8Array.from(randomBytes(length));

export async function open() {
  const staticKeys = x25519KeyPair(random(32));
  const psks = [random(32)];
  const payload = new Uint8Array(256);
  const known = { remoteStatic: staticKeys.publicKey };
  const run = (pattern, initiatorKeys, responderKeys) => () => {
    const initiator = new HandshakeState({ pattern, role: 'initiator', random, ...initiatorKeys });
    const responder = new HandshakeState({ pattern, role: 'responder', random, ...responderKeys });
    responder.readMessage(initiator.writeMessage(payload));
    initiator.readMessage(responder.writeMessage(payload));
    initiator.split();
    responder.split();
  };
  // What both sides cannot do without: two new key pairs, and a Diffie-Hellman on each side per token.
  const peer = generateKeyPairSync('x25519');
  const curve = (exchanges) => () => {
    for (let i = 0; i < 2; i++) generateKeyPairSync('x25519');
    for (let i = 0; i < exchanges; i++) diffieHellman({ privateKey: peer.privateKey, publicKey: peer.publicKey });
  };
  const [two, four] = ['bare node:crypto: 2 key pairs, 2 X25519', 'bare node:crypto: 2 key pairs, 4 X25519'];
  return {
    cases: [
      {
        name: 'NKpsk0 (response and reply)',
        unit: 'handshake',
        floor: four,
        run: run('NKpsk0', { ...known, psks }, { staticKeys, psks }),
      },
      { name: 'NN (links)', unit: 'handshake', floor: two, run: run('NN', {}, {}) },
      { name: four, unit: 'handshake', run: curve(4) },
      { name: two, unit: 'handshake', run: curve(2) },
    ],
  };
}
