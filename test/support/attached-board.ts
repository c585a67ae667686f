/** A board of the firmware, reached with hardware/companion over its serial port as by a node, in real time. */
import { type Board, openBoard } from '@rdv/hardware/companion/board';
import { REQUEST } from '@rdv/hardware/companion/codes';
import type { BytePipe } from '@rdv/hardware/companion/pipe';
import { openSerialPipe } from '@rdv/hardware/companion/serial-pipe';
import { systemClock, systemRandom } from '@rdv/hardware/host/system';
import { u32be } from '@rdv/protocol/core/bytes';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import type { Clock } from '@rdv/protocol/core/ports';

/** @param port whose path may be another one at each connection · @param line may swallow what is written */
export function attach(
  port: { readonly path: string },
  clock: Clock = systemClock,
  line: (pipe: BytePipe) => BytePipe = (pipe) => pipe,
): Board {
  return openBoard({
    name: 'the board',
    openPipe: async () => line(await openSerialPipe(port.path)),
    clock,
    random: systemRandom,
    log: silentLogger,
  });
}

/** Lets its time pass (test builds only). */
export async function advance(board: Board, seconds: number): Promise<void> {
  await board.request(REQUEST.advance, u32be(seconds), false);
}

/** The real clock, and that of a board that was advanced with `advance`. */
export class ShiftedClock implements Clock {
  shiftMs = 0;
  /** Every wait is so many times shorter: these boards answer at once. */
  readonly hurry: number;
  constructor(hurry = 1) {
    this.hurry = hurry;
  }
  now(): number {
    return systemClock.now() + this.shiftMs;
  }
  monotonic(): number {
    return systemClock.monotonic() * this.hurry + this.shiftMs;
  }
  schedule(delayMs: number, run: () => void): { cancel(): void } {
    return systemClock.schedule(delayMs / this.hurry, run);
  }
}
