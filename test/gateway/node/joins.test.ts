import { checkJoins, startJoins } from '@rdv/gateway/node/join-role';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import { VirtualClock } from '@rdv/protocol/core/virtual-clock';
import { MemoryNamespace } from '@rdv/protocol/namespace/memory';
import { MemoryHub } from '@rdv/protocol/namespace/memory-hub';
import { expect, it } from 'vitest';
import { bytes } from '../../contract/records.js';

it.each([
  [['udp:', 'mqtt://h'], undefined],
  [['server:', 'https://h'], undefined],
  [['udp:nonsense', 'mqtt://h'], 'joins.1: namespace "udp:nonsense": there are udp:'],
  [['mqtt://h', 'mqtt://i'], 'joins.1: what people want can be seen on udp: and at server:'],
] as const)('%s is checked before anything is opened', (between, why) => {
  const check = () => checkJoins([{ between: ['udp:', 'mqtt://h'] }, { between }]);
  if (why === undefined) check();
  else expect(check).toThrow(why);
});

it('the quota of the file is the quota of each direction, and of one queue no more', async () => {
  const clock = new VirtualClock(undefined, () => new Promise((resolve) => setImmediate(resolve)));
  const [here, there] = [new MemoryHub({ clock }), new MemoryHub({ clock })];
  const role = await startJoins(
    [{ between: ['udp:', 'mqtt://h'], quota: { frames: 10, queues: 5 } }],
    async (url) => {
      const hub = url === 'udp:' ? here : there;
      return { namespace: new MemoryNamespace(hub, { bridge: true }), interest: hub };
    },
    { clock, log: silentLogger },
  );
  const queue = bytes(16);
  const heard: Uint8Array[] = [];
  const reader = new MemoryNamespace(there);
  reader.subscribe(queue, (frame) => heard.push(frame));
  for (let i = 0; i < 20; i++) reader.subscribe(bytes(16), () => {});
  await clock.advance(1);
  const sender = new MemoryNamespace(here);
  for (let i = 0; i < 100; i++) await sender.send(queue, bytes(8));
  await clock.advance(1);
  expect(heard).toHaveLength(40);
  const [{ forth }] = role.status as [(typeof role.status)[number]];
  expect(forth).toMatchObject({ frames: 40, refused: 60 + 16, queues: 5 });
  await clock.advance(2000);
  for (let i = 0; i < 100; i++) await sender.send(queue, bytes(8));
  await clock.advance(1);
  expect(heard).toHaveLength(60);
  role.close();
});

it('names the join that cannot be made', async () => {
  const clock = new VirtualClock();
  const ports = { clock, log: silentLogger };
  const none = async () => ({ namespace: new MemoryNamespace(new MemoryHub({ clock, unchecked: true })) });
  await expect(startJoins([{ between: ['udp:', 'mqtt://h'] }], none, ports)).rejects.toMatchObject({
    code: 'config',
    message: expect.stringMatching(/^joins\.0: .*cannot see/),
  });
});
