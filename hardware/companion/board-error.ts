/** What a board refuses (COMPANION.md §3), as an error that names the next step. */
import { readU32be } from '@rdv/protocol/core/bytes';
import { RdvError, type RdvErrorCode } from '@rdv/protocol/core/errors';
import type { BoardStatusName } from './codes.js';
import { statusName } from './responses.js';

const SAID: Readonly<Record<Exclude<BoardStatusName, 'ok'>, readonly [RdvErrorCode, string]>> = {
  unknown: ['unsupported', 'the board cannot do that: see "rdv boards" for what it can, or flash a newer firmware'],
  length: ['protocol-violation', 'the board expects a request of another length: flash the firmware of this version'],
  range: ['invalid-argument', 'the board does not take one of the values'],
  state: ['refused', 'the board carries no tag: provision it first'],
  flash: ['store', 'the board could not store its settings, the old ones are in force: try once more, then replace it'],
  session: ['state-lost', 'the board restarted in the middle: look at its status, then try again'],
  version: ['unsupported', 'the board speaks no version of the companion protocol that this program knows'],
  time: ['clock', 'the board takes the time for wrong'],
  refused: ['refused', 'the board refuses for a reason that this program does not know: update it'],
};

/** The board answered, and the answer is no. */
export class BoardError extends RdvError {
  readonly status: Exclude<BoardStatusName, 'ok'>;
  /** With `range`: which byte of the payload. */
  readonly offset: number | undefined;
  /** With `time`: the earliest unix time (seconds) that it takes. */
  readonly earliestSeconds: number | undefined;

  /** @param response whole payload, its status not `ok` */
  constructor(response: Uint8Array) {
    const name = statusName(response[0] ?? 0xff);
    const status = name === 'ok' ? 'refused' : name;
    const [code, text] = SAID[status];
    const offset = status === 'range' ? response[1] : undefined;
    const earliest = status === 'time' && response.length >= 5 ? readU32be(response, 1) : undefined;
    const hint =
      offset !== undefined
        ? ` (byte ${offset} of the request)`
        : earliest !== undefined
          ? `: it accepts none before ${new Date(earliest * 1000).toISOString().slice(0, 19)}Z. Set the clock of this machine, or force it`
          : '';
    super(code, text + hint);
    this.status = status;
    this.offset = offset;
    this.earliestSeconds = earliest;
  }
}

/** The line is down, or was never up. What was asked may have been done or not. */
export class LineDownError extends RdvError {
  constructor(message: string, options?: { readonly cause?: unknown }) {
    super('unreachable', message, options);
  }
}
