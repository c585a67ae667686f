/** Why conversations end, and why messages are refused: codes on the wire (SPEC §7), errors for the application. */
import { MESSAGE_MAX_BYTES } from '../core/constants.js';
import { InvalidArgumentError, RdvError } from '../core/errors.js';
import type { CloseReason } from './api.js';

const CODES: Readonly<Record<CloseReason, number>> = {
  finished: 0,
  aborted: 1,
  'peer-aborted': 1,
  'sas-mismatch': 2,
  'state-lost': 3,
  'protocol-violation': 4,
  expired: 5,
  // Never said.
  suspended: 1,
};

/** What CLOSE and CLOSED carry. */
export function closeCode(reason: CloseReason): number {
  return CODES[reason];
}

/** What a peer's code means here; codes unknown to this version are plain aborts. */
export function reasonOf(code: number): CloseReason {
  const found = Object.entries(CODES).find(([, value]) => value === code)?.[0] as CloseReason | undefined;
  return found === undefined || found === 'aborted' || found === 'suspended' ? 'peer-aborted' : found;
}

/** The error that waiting calls get. */
export function endingError(reason: CloseReason): RdvError {
  switch (reason) {
    case 'finished':
      return new RdvError('closed', 'the conversation is over');
    case 'aborted':
      return new RdvError('closed', 'the conversation was closed at this end');
    case 'peer-aborted':
      return new RdvError('closed', 'the other end closed the conversation');
    case 'sas-mismatch':
      return new RdvError('authentication-failed', 'somebody is in between: respond to the tag again');
    case 'state-lost':
      return new RdvError('state-lost', 'one end was restored from old state: start a new conversation');
    case 'protocol-violation':
      return new RdvError('protocol-violation', 'the conversation ended because an end broke the protocol');
    case 'suspended':
      return new RdvError('closed', 'the conversation is suspended at this end: open it again from the store');
    case 'expired':
      return new RdvError('expired', 'the conversation was idle for too long');
  }
}

/** The error for what cannot be a message. */
export function checkMessage(message: unknown): RdvError | undefined {
  if (!(message instanceof Uint8Array)) {
    return new InvalidArgumentError(`"message" expected bytes, got ${typeof message}`);
  }
  if (message.length <= MESSAGE_MAX_BYTES) return undefined;
  return new RdvError('too-large', 'a message is at most 16 MiB: send it in parts');
}
