/** Exit codes of `rdv`, the same for every command; `rdv --help` lists them. */
import type { RdvErrorCode } from '@rdv/protocol/core/errors';

export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  notPublished: 3,
  refused: 4,
  timeout: 5,
  unreachable: 6,
  unproven: 7,
  interrupted: 130,
} as const;

export const EXIT_HELP: string = [
  'Exit codes: 0 done · 1 failed · 2 wrong usage or input · 3 nobody has published the tag',
  '            4 the publisher refused · 5 timed out · 6 namespace or adapter cannot be reached',
  '            7 the other end did not prove to be who it should · 130 interrupted',
].join('\n');

const BY_CODE: Partial<Record<RdvErrorCode, number>> = {
  'invalid-argument': EXIT.usage,
  'invalid-tag': EXIT.usage,
  config: EXIT.usage,
  'not-published': EXIT.notPublished,
  refused: EXIT.refused,
  timeout: EXIT.timeout,
  unreachable: EXIT.unreachable,
  adapter: EXIT.unreachable,
  'authentication-failed': EXIT.unproven,
};

export function exitCodeFor(code: RdvErrorCode): number {
  return BY_CODE[code] ?? EXIT.failed;
}
