/**
 * The line in front of scrypt (SPEC §1): one run holds 128 MiB, so a process does one at a time, whichever backend it
 * goes through. The line has an end, or whoever asks fast enough would fill the memory with waiters.
 */
import { RdvError } from '../core/errors.js';

const MAX_WAITING = 256;

let waiting = 0;
let last: Promise<unknown> = Promise.resolve();

/** `run`, when everything that came before has ended. @throws RdvError `busy` with 256 in line */
export async function oneAtATime<T>(run: () => Promise<T>): Promise<T> {
  if (waiting >= MAX_WAITING) throw new RdvError('busy', 'too many tags are being derived at once: try again later');
  waiting++;
  const turn = last.then(run);
  last = turn.catch(() => {});
  try {
    return await turn;
  } finally {
    waiting--;
  }
}
