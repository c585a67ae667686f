import { Listening } from '@rdv/protocol/conversation/listening';
import { RdvError } from '@rdv/protocol/core/errors';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import { VirtualClock } from '@rdv/protocol/core/virtual-clock';
import { MemoryNamespace } from '@rdv/protocol/namespace/memory';
import { MemoryHub } from '@rdv/protocol/namespace/memory-hub';
import { expect, it } from 'vitest';

const queue = (n: number): Uint8Array => new Uint8Array(16).fill(n);

it('a namespace that is full does not silence the others; all of them full is an error', async () => {
  const clock = new VirtualClock();
  const hub = new MemoryHub({ clock });
  const [open, full] = [new MemoryNamespace(hub), new MemoryNamespace(hub, { maxSubscriptions: 0 })];
  const heard: number[] = [];
  const listener = { onFrame: (_from: unknown, generation: number) => void heard.push(generation), onState: () => {} };
  const listening = new Listening([full, open], {}, silentLogger, listener);
  listening.follow(0, [queue(1), queue(2)]);
  await clock.advance(1);
  await new MemoryNamespace(hub).send(queue(2), Uint8Array.of(7));
  await clock.advance(1);
  expect(heard).toEqual([1]);
  listening.close();
  const none = new Listening([full], {}, silentLogger, listener);
  expect(() => none.follow(0, [queue(1), queue(2)])).toThrow(RdvError);
});
