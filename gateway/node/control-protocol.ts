/**
 * The control socket's requests: one connection is one request, as JSON lines. The first line names `op`; the
 * answer is {"ok":…} or {"error":{code,message,reason?,identity?}}, then what the operation goes on to say.
 *
 *   publish   → {"ok":INFO}, then {"conversation":TOKEN} each; the client attaches to the tokens.
 *               {"unpublish":true} and {"close":true} from the client; {"over":true} ends it.
 *               {"namespace":NOTE} at any time, also before the answer
 *   attach    → the conversation, see conversation-lines.ts
 *   respond   → {"namespace":NOTE} at any time before {"ok":{}}, then the conversation, see conversation-lines.ts
 *   resume    → {"ok":{}}, then the conversation, see conversation-lines.ts
 *   list, status, unpublish, deactivate, activate, renew, conversations, history, forget → {"ok":…}
 *   scan      → {"ok":{}}, then {"heard":…} until the client hangs up
 */
import type { HistoryEntry, HistoryPage } from '@rdv/protocol/conversation/durability';
import { RdvError, type RdvErrorCode, type RefusalReason, RefusedError, toRdvError } from '@rdv/protocol/core/errors';
import { IdentityError, type IdentityFailure } from '@rdv/protocol/identity/api';
import type { JsonObject } from './json-lines.js';

/** A page of history; messages in base64. */
export interface HistoryPageJson extends Omit<HistoryPage, 'entries'> {
  readonly entries: readonly (Omit<HistoryEntry, 'message'> & { readonly message: string })[];
}

export function fromBase64(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64'));
}

export function historyToJson({ entries, ...marks }: HistoryPage): HistoryPageJson {
  return {
    ...marks,
    entries: entries.map((entry) => ({ ...entry, message: Buffer.from(entry.message).toString('base64') })),
  };
}

export function errorLine(error: unknown): JsonObject {
  const known = toRdvError(error);
  return {
    error: {
      code: known.code,
      message: known.message,
      ...(known instanceof RefusedError ? { reason: known.reason } : {}),
      ...(known instanceof IdentityError ? { identity: known.reason } : {}),
    },
  };
}

/** The `ok` of an answer. @throws RdvError what the node answered */
export function answerOf(line: JsonObject | undefined): unknown {
  if (!line) throw new RdvError('closed', 'the node hung up: see its log');
  const error = line['error'];
  if (typeof error === 'object' && error !== null) {
    const { code, message, reason, identity } = error as JsonObject;
    if (typeof reason === 'string') throw new RefusedError(reason as RefusalReason, String(message));
    if (typeof identity === 'string') throw new IdentityError(identity as IdentityFailure, String(message));
    throw new RdvError((typeof code === 'string' ? code : 'internal') as RdvErrorCode, String(message));
  }
  if (!('ok' in line))
    throw new RdvError('malformed', 'the node answered something unknown: are both the same version?');
  return line['ok'];
}
