import { MemoryNamespace } from '@rdv/protocol/namespace/memory';
import { MemoryHub } from '@rdv/protocol/namespace/memory-hub';
import { HandshakeState } from '@rdv/protocol/noise/handshake-state';
import { x25519KeyPair } from '@rdv/protocol/primitives/primitives-node';
import { around, keepPublished } from '../publications.mjs';

export const title = 'Conversations opened over memory: look-up, response, reply, both ends in one process';

export async function open() {
  const hub = new MemoryHub(around);
  const [one, two] = [new MemoryNamespace(hub), new MemoryNamespace(hub)];
  const published = keepPublished([one]);
  const { random } = around;
  const staticKeys = x25519KeyPair(random(32));
  const psks = [random(32)];
  const payload = new Uint8Array(256);
  const bare = 'bare NKpsk0, both sides';
  return {
    cases: [
      { name: 'conversation opened', unit: 'conversation', floor: bare, run: () => published.meet(two) },
      {
        name: bare,
        unit: 'handshake',
        run: () => {
          const common = { pattern: 'NKpsk0', random, psks };
          const ours = new HandshakeState({ ...common, role: 'initiator', remoteStatic: staticKeys.publicKey });
          const theirs = new HandshakeState({ ...common, role: 'responder', staticKeys });
          theirs.readMessage(ours.writeMessage(payload));
          ours.readMessage(theirs.writeMessage(payload));
        },
      },
    ],
    close: async () => {
      await published.close();
      await Promise.all([one.close(), two.close()]);
    },
  };
}
