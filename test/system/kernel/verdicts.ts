/**
 * A story that happens on one machine, step by step, each step a test. After a step that fails, those after it were
 * not reached. The kernel's own panic (known faults of 6.1 in L2CAP) is tried once more from the start; nothing else is.
 */
import { availableParallelism } from 'node:os';
import { beforeAll, describe, it } from 'vitest';
import { KernelPanic, Machine } from './machine.js';

export type Step = readonly [name: string, run: (machine: Machine) => Promise<unknown>];

const STORY_MS = 170_000;

/** An emulated processor takes a core of this machine: as many at once as there are. */
const gate = { free: Math.max(1, availableParallelism()), line: [] as (() => void)[] };

async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (gate.free > 0) gate.free--;
  else await new Promise<void>((resolve) => gate.line.push(resolve));
  try {
    return await work();
  } finally {
    const next = gate.line.shift();
    if (next) next();
    else gate.free++;
  }
}

async function tell(title: string, adapters: number, steps: readonly Step[]): Promise<ReadonlyMap<string, unknown>> {
  const verdicts = new Map<string, unknown>();
  const started = performance.now();
  const say = (line: string): void =>
    console.info(`${title}: ${line}, ${((performance.now() - started) / 1000).toFixed(1)} s`);
  const machine = await Machine.boot(adapters);
  say('the machine is up');
  try {
    for (const [name, run] of steps) {
      try {
        await run(machine);
      } catch (error) {
        if (error instanceof KernelPanic) throw error;
        verdicts.set(name, error);
        say(`FAIL ${name}`);
        console.info(machine.story);
        break;
      }
      verdicts.set(name, undefined);
      say(`PASS ${name}`);
    }
  } finally {
    await machine.close();
  }
  return verdicts;
}

async function tellTwiceAtMost(
  title: string,
  adapters: number,
  steps: () => readonly Step[],
): Promise<ReadonlyMap<string, unknown>> {
  try {
    return await tell(title, adapters, steps());
  } catch (error) {
    if (!(error instanceof KernelPanic)) throw error;
    console.info(`${title}: the kernel panicked, once more\n${error.message}`);
    return tell(title, adapters, steps());
  }
}

/**
 * Declares the tests of one machine, which is started when there is room.
 * @param adapters how many it has: hci0, hci1, …
 * @param steps makes them, anew for each attempt
 */
export function story(title: string, adapters: number, steps: () => readonly Step[]): void {
  const told = inTurn(() => tellTwiceAtMost(title, adapters, steps));
  told.catch(() => {});
  describe(title, () => {
    beforeAll(() => told, 4 * STORY_MS);
    it.each(steps().map(([name]) => name))('%s', async (name) => {
      const verdicts = await told;
      if (!verdicts.has(name)) throw new Error('not reached: a step before it failed');
      const verdict = verdicts.get(name);
      if (verdict !== undefined) throw verdict;
    });
  });
}
