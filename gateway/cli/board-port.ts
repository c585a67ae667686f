/** Boards on serial ports, as the commands reach them: by a path that is theirs while they run. */
import { realpathSync } from 'node:fs';
import { type Board, openBoard } from '@rdv/hardware/companion/board';
import type { BytePipe } from '@rdv/hardware/companion/pipe';
import { openSerialPipe } from '@rdv/hardware/companion/serial-pipe';
import { systemClock, systemRandom } from '@rdv/hardware/host/system';
import { ControlClient } from '../node/control-client.js';
import { nodeAnswers } from '../node/control-server.js';
import type { BoardPart } from '../node/kept-board.js';
import { openLogger } from '../node/logger.js';
import { nodePaths } from '../node/paths.js';
import type { CommonOptions } from './shared.js';

/** What a name under /dev/serial/by-id leads to. */
export function deviceOf(port: string): string {
  try {
    return realpathSync(port);
  } catch {
    return port;
  }
}

/** Boards that the running node holds, by the device that their port is. */
export async function keptByNode(options: CommonOptions): Promise<ReadonlyMap<string, BoardPart>> {
  const { controlSocket } = nodePaths(options.state);
  if (!(await nodeAnswers(controlSocket))) return new Map();
  const api = new ControlClient(controlSocket);
  try {
    return new Map((await api.status()).boards.map((part) => [deviceOf(part.port), part]));
  } finally {
    await api.close();
  }
}

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
