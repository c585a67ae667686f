// A cable that is pulled and plugged in again and again under traffic, at an emulated micro:bit that runs on.
import { randomBytes } from 'node:crypto';
import type { Board } from '@rdv/hardware/companion/board';
import { LineDownError } from '@rdv/hardware/companion/board-error';
import { toHex } from '@rdv/protocol/core/bytes';
import { eidAt } from '@rdv/protocol/tag/eid';
import { beforeAll, expect, it } from 'vitest';
import { attach } from '../../support/attached-board.js';
import { EmulatedMicrobit } from '../../support/emulated-microbit.js';
import { makeFirmware } from '../../support/firmware-build.js';
import { ownMs } from '../../support/starved.js';

const CYCLES = 100;

beforeAll(() => {
  makeFirmware('microbit');
});

/** Echoes and settings of the clock until it is stopped. @returns answers that were wrong, and how many were right */
function traffic(board: Board): {
  /** Resolves when so many more requests have been answered. */
  more(requests: number): Promise<void>;
  stop(): Promise<{ right: number; failed: number }>;
} {
  let going = true;
  let right = 0;
  let waiting: { readonly until: number; readonly resolve: () => void } | undefined;
  let failed = 0;
  const run = async (n: number): Promise<void> => {
    while (going) {
      const bytes = new Uint8Array(randomBytes(n % 95));
      try {
        if (n % 4 === 0) await board.syncClock();
        else expect(await board.echo(bytes)).toEqual(bytes);
        right++;
        if (waiting && right >= waiting.until) waiting.resolve();
      } catch (error) {
        if (!(error instanceof LineDownError)) throw error;
        failed++;
        await board.ready(30_000);
      }
      n++;
    }
  };
  const both = Promise.all([run(0), run(41)]);
  both.catch(() => {});
  return {
    more: (requests) =>
      new Promise((resolve) => {
        waiting = { until: right + requests, resolve };
      }),
    async stop() {
      going = false;
      await both;
      return { right, failed };
    },
  };
}

const median = (values: number[]): number => Math.round(values.toSorted((a, b) => a - b)[values.length >> 1]!);
const worst = (values: number[]): number => Math.round(Math.max(...values));

it(`${CYCLES} times pulled and plugged in: always found again, and the board notices nothing`, {
  timeout: 400_000,
}, async () => {
  const microbit = await EmulatedMicrobit.start();
  const board = attach(microbit);
  try {
    await board.ready(10_000);
    const beaconKey = randomBytes(16);
    const { label } = await board.provision({ beaconKey });
    const bootIds = new Set<number>();
    let down = (): void => {};
    board.listen({ onUp: ({ bootId }) => bootIds.add(bootId), onDown: () => down() });
    const noticed: number[] = [];
    const back: number[] = [];
    const work = traffic(board);
    for (let i = 0; i < CYCLES; i++) {
      // Into the middle of whatever is under way, which differs each time.
      await work.more(5 + ((i * 37) % 200));
      const gone = new Promise<void>((resolve) => {
        down = resolve;
      });
      const pulled = ownMs();
      await Promise.all([microbit.unplug(), gone]);
      noticed.push(ownMs() - pulled);
      await microbit.plug();
      const plugged = performance.now();
      await board.ready(30_000);
      back.push(performance.now() - plugged);
    }
    const { right, failed } = await work.stop();
    console.log(
      `${CYCLES} cycles: ${right} requests right, ${failed} cut off; gone noticed after ${median(noticed)} ms, at worst ${worst(noticed)}; back after ${median(back)} ms, at worst ${worst(back)}`,
    );
    expect(worst(noticed)).toBeLessThan(4000);
    expect(right).toBeGreaterThan(50 * CYCLES);
    expect(failed).toBeGreaterThan(CYCLES / 2);
    expect(bootIds.size, 'it never restarted').toBe(1);
    expect(board.connections).toBe(CYCLES + 1);
    const asked = Date.now();
    const status = await board.status();
    expect(status).toMatchObject({ label, number: 1, onAir: 'eid', counters: { flashFailures: 0 } });
    expect(status.clock.unixMs).toBeGreaterThan(asked - 500);
    expect(status.clock.unixMs).toBeLessThan(Date.now() + 500);
    const { data, clock } = await board.onAir();
    expect(toHex(data)).toContain(toHex(eidAt(beaconKey, clock)));
  } finally {
    await board.close();
    await microbit.kill();
  }
});
