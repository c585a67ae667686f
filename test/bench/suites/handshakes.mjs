import { randomBytes } from 'node:crypto';
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
  return {
    cases: [
      {
        name: 'NKpsk0 (response and reply)',
        unit: 'handshake',
        run: run('NKpsk0', { ...known, psks }, { staticKeys, psks }),
      },
      { name: 'NN (links)', unit: 'handshake', run: run('NN', {}, {}) },
    ],
  };
}
