import { VirtualClock } from '@rdv/protocol/core/virtual-clock';
import { Requests } from '@rdv/protocol/link/requests';
import { expect, it } from 'vitest';

it('numbers pass over look-ups that stay open, and come round again', async () => {
  const open = new Set([1, 3]);
  const requests = new Requests(
    new VirtualClock(),
    () => {},
    (request) => open.has(request),
  );
  requests.open(2);
  const used: number[] = [];
  const ask = (): Promise<void> => requests.add((request) => used.push(request));
  void ask();
  void ask();
  expect(used).toEqual([2, 4]);
  requests.settle(2);
  requests.settle(4);
  for (let i = 0; i < 0xffff; i++) {
    const asked = ask();
    requests.settle(used.at(-1)!);
    await asked;
  }
  expect(used).not.toContain(1);
  expect(used).not.toContain(3);
  expect(used.slice(0, 3)).toEqual([2, 4, 5]);
  expect(used.filter((request) => request === 2)).toHaveLength(2);
});
