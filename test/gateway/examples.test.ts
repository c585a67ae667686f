/** The examples do what the README says of them. */
import { execFile, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { openEmbeddedBroker } from '@rdv/gateway/server/embedded-broker';
import { describe, expect, it } from 'vitest';

const example = (name: string): string => fileURLToPath(new URL(`../../gateway/examples/${name}`, import.meta.url));
const meet = async (...more: string[]): Promise<string> => {
  const { stdout } = await promisify(execFile)(process.execPath, [example('meet.mjs'), ...more], { timeout: 120_000 });
  return stdout;
};
const MET = 'asked: When are you open?\ntold: Open 8 to 20.\nover: finished\n';

describe('the examples', { timeout: 120_000 }, () => {
  it('meet in memory', async () => {
    expect(await meet()).toBe(MET);
  });

  it('meet through a broker', async () => {
    const broker = await openEmbeddedBroker();
    try {
      expect(await meet(broker.url)).toBe(MET);
    } finally {
      await broker.close();
    }
  });

  it('have a desk that can be run as it stands', () => {
    const desk = spawnSync(example('desk.mjs'), { input: 'Which door?\n', encoding: 'utf8' });
    expect([desk.status, desk.stdout]).toEqual([0, expect.stringContaining('The blue door')]);
  });
});
