/** How the end of a conversation becomes the end of a command. */
import type { CloseReason } from '@rdv/protocol/conversation/api';
import { CanceledError, RdvError } from '@rdv/protocol/core/errors';
import type { PipeEnd } from '../node/pipe-conversation.js';

const TOLD: Readonly<Record<Exclude<CloseReason, 'finished'>, string>> = {
  aborted: 'the conversation was broken off here',
  'peer-aborted': 'the other end broke the conversation off',
  'sas-mismatch': 'the commitment of the responder does not match: somebody is in between',
  'state-lost': 'one end has lost the state of the conversation',
  'protocol-violation': 'the other end broke the protocol',
  expired: 'the conversation was idle for too long',
  suspended: 'this end was put aside',
};

/** @throws CanceledError when the user ended it · RdvError for every end but the clean one */
export function checkEnd(reason: CloseReason, signal: AbortSignal): void {
  if (reason === 'finished') return;
  if (reason === 'suspended' && signal.aborted) throw new CanceledError('interrupted: the conversation was put aside');
  if (signal.aborted) throw new CanceledError('interrupted: the conversation was broken off');
  throw new RdvError(reason === 'state-lost' ? 'state-lost' : 'closed', TOLD[reason]);
}

/** Likewise for a pipe, which may also end because of a stream of this process. */
export function checkPipe({ reason, failure }: PipeEnd, signal: AbortSignal): void {
  const code = (failure as NodeJS.ErrnoException | undefined)?.code;
  if (reason === 'aborted' && !signal.aborted && failure !== undefined && !(failure instanceof RdvError)) {
    const what =
      code === 'EPIPE'
        ? 'whoever reads the standard output has left'
        : `a stream failed: ${(failure as Error).message}`;
    throw new RdvError('closed', `${what}: the conversation was broken off`, { cause: failure });
  }
  checkEnd(reason, signal);
}
