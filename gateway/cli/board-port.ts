/** Boards on serial ports, as the commands reach them: by a path that is theirs while they run. */
import { type Board, openBoard } from '@rdv/hardware/companion/board';
import type { BytePipe } from '@rdv/hardware/companion/pipe';
import { openSerialPipe } from '@rdv/hardware/companion/serial-pipe';
import { systemClock, systemRandom } from '@rdv/hardware/host/system';
import { openLogger } from '../node/logger.js';
import type { CommonOptions } from './shared.js';

/** A silent one is given up after seven sends, 3.25 s. */
const ANSWER_DEADLINE_MS = 5000;

/**
 * The board at `path`, once it has answered. It belongs to the caller, who closes it.
 * @throws RdvError `adapter` at once when the port cannot be opened, `unreachable` when no board answers there
 */
export async function openPort(path: string, options: CommonOptions, signal?: AbortSignal): Promise<Board> {
  // Now a port that is not there is a slip of whoever named it; later it is a board that was unplugged.
  let first: BytePipe | undefined = await openSerialPipe(path);
  const board = openBoard({
    name: path,
    openPipe: async () => {
      const pipe = first ?? (await openSerialPipe(path));
      first = undefined;
      return pipe;
    },
    clock: systemClock,
    random: systemRandom,
    log: openLogger({ level: options.verbose ? 'debug' : 'error', json: options.json === true }),
  });
  try {
    await board.ready(ANSWER_DEADLINE_MS, signal);
    return board;
  } catch (error) {
    await board.close();
    throw error;
  }
}
