// #primitives is what the environment asks for, seen from inside the package as the protocol's own files see it.
import * as accelerated from '@rdv/protocol/primitives/accelerated-node';
import * as portable from '@rdv/protocol/primitives/primitives-noble';
import * as chosen from '@rdv/protocol/primitives/primitives-node';
import { expect, inject, it } from 'vitest';

declare module 'vitest' {
  interface ProvidedContext {
    /** Which backend the project that runs this is for: not told by the environment, which is what is under test. */
    primitives: 'node' | 'noble';
  }
}

const expected = inject('primitives') === 'noble' ? portable : accelerated;

it('takes every function from the backend that the environment names', () => {
  expect(Object.keys(chosen).sort()).toEqual(Object.keys(portable).sort());
  for (const [name, value] of Object.entries(chosen)) {
    expect(value, name).toBe((expected as Record<string, unknown>)[name]);
  }
});

it('runs one scrypt at a time, over both backends', async () => {
  const order: string[] = [];
  const cost = { N: 2 ** 12, r: 8, p: 1 };
  const run = async (name: string, backend: typeof portable | typeof accelerated, n: number) => {
    await backend.scrypt(new Uint8Array(n), new Uint8Array(0), { ...cost, N: n }, 32);
    order.push(name);
  };
  await Promise.all([
    run('slow', portable, 2 ** 13),
    run('quick', accelerated, 2),
    expect(portable.scrypt(new Uint8Array(0), new Uint8Array(0), { ...cost, N: 3 }, 32)).rejects.toThrow('"cost"'),
    run('last', accelerated, 2),
  ]);
  expect(order).toEqual(['slow', 'quick', 'last']);
});
