import { createHash } from 'node:crypto';
import { Bridge } from '@rdv/gateway/bridge/bridge';
import { MemoryNamespace } from '@rdv/protocol/namespace/memory';
import { MemoryHub } from '@rdv/protocol/namespace/memory-hub';
import { around } from '../publications.mjs';

export const title = 'The bridge: frames of 200 B between a link and a far namespace in memory';

const BATCH = 200;
const NO_LIMIT = 1e12;

export async function open() {
  const hub = new MemoryHub({ clock: around.clock, unchecked: true });
  const [far, outside, third] = [new MemoryNamespace(hub), new MemoryNamespace(hub), new MemoryNamespace(hub)];
  const quota = { framesPerSecond: NO_LIMIT, framesBurst: NO_LIMIT, bytesPerSecond: NO_LIMIT, bytesBurst: NO_LIMIT };
  const bridge = new Bridge({ far, clock: around.clock, log: around.log, quota });
  const { handlers, begin } = bridge.visit('beacon');
  let delivered = 0;
  let wanted = 0;
  let done = () => {};
  const count = () => {
    if (++delivered === wanted) done();
  };
  begin({ state: 'open', onClose: () => () => {}, deliver: async () => count(), close: () => {} });
  const [inbox, reply, beside] = [around.random(16), around.random(16), around.random(16)];
  await handlers.onSub(inbox);
  await outside.subscribe(reply, count).ready;
  await outside.subscribe(beside, count).ready;

  // A bridge carries the same bytes once a minute: each frame is another one.
  let serial = 0;
  const frame = () => {
    const bytes = new Uint8Array(200);
    new DataView(bytes.buffer).setUint32(0, serial++);
    return bytes;
  };
  const batch = (send) => () =>
    new Promise((resolve) => {
      [delivered, wanted, done] = [0, BATCH, resolve];
      for (let i = 0; i < BATCH; i++) void send(frame());
    });
  const bare = 'no bridge: from one client of the namespace to another';
  const common = { batch: BATCH, unit: 'frame', floor: bare };
  return {
    cases: [
      { ...common, name: 'from a link to the far side', run: batch((bytes) => handlers.onSend(reply, bytes)) },
      { ...common, name: 'from the far side to a link', run: batch((bytes) => outside.send(inbox, bytes)) },
      { ...common, name: bare, floor: undefined, run: batch((bytes) => third.send(beside, bytes)) },
      {
        name: 'bare node:crypto: SHA-256 of queue and frame',
        unit: 'frame',
        batch: BATCH,
        run: () => {
          for (let i = 0; i < BATCH; i++) createHash('sha256').update(inbox).update(frame()).digest();
        },
      },
    ],
    close: async () => {
      bridge.close();
      await Promise.all([far.close(), outside.close(), third.close()]);
    },
  };
}
