/**
 * Where things stand on a broker (SPEC §10): `<base>/1/r/<id>/<owner>` for records, `<base>/1/q/<queue>` for
 * frames, ids in unpadded base64url. That alphabet has no `/`, `+` or `#`, so no wildcard can come of an id.
 */
import { assertBytes, fromBase64Url, toBase64Url } from '@rdv/protocol/core/bytes';
import { ID_BYTES, OWNER_BYTES, QUEUE_BYTES } from '@rdv/protocol/core/constants';
import { InvalidArgumentError } from '@rdv/protocol/core/errors';

/** What a broker's topic tree is called where nobody says otherwise. */
export const DEFAULT_BASE = 'rdv';

/** A topic of RDV, read back. */
export type ParsedTopic =
  | { readonly kind: 'record'; readonly id: Uint8Array; readonly owner: Uint8Array; readonly filter: string }
  | { readonly kind: 'queue'; readonly queue: Uint8Array; readonly filter: string };

/**
 * @param base 1 to 128 characters; levels may be parted by `/`
 * @throws InvalidArgumentError for wildcards, control characters, empty levels, and `$…`, which brokers keep to themselves
 */
export function checkBase(base: string): string {
  const good = base.length <= 128 && /^[^/+#$\p{Cc}][^+#\p{Cc}]*$/u.test(base) && !/\/\/|\/$/.test(base);
  if (!good) throw new InvalidArgumentError('"base" expected a topic like "rdv" or "site/rdv", without wildcards');
  return base;
}

/** The topic of one owner's record. @param id 32 bytes @param owner 32 bytes */
export function recordTopic(base: string, id: Uint8Array, owner: Uint8Array): string {
  assertBytes('id', id, ID_BYTES);
  assertBytes('owner', owner, OWNER_BYTES);
  return `${base}/1/r/${toBase64Url(id)}/${toBase64Url(owner)}`;
}

/** What a reader of `id` subscribes to: the records of every owner. @param id 32 bytes */
export function recordFilter(base: string, id: Uint8Array): string {
  assertBytes('id', id, ID_BYTES);
  return `${base}/1/r/${toBase64Url(id)}/+`;
}

/** Where frames for `queue` go. @param queue 16 bytes */
export function queueTopic(base: string, queue: Uint8Array): string {
  assertBytes('queue', queue, QUEUE_BYTES);
  return `${base}/1/q/${toBase64Url(queue)}`;
}

/** A received topic, or undefined for one that RDV does not use. Never throws. */
export function parseTopic(base: string, topic: string): ParsedTopic | undefined {
  if (!topic.startsWith(`${base}/1/`)) return undefined;
  const levels = topic.slice(base.length + 3).split('/');
  try {
    if (levels.length === 3 && levels[0] === 'r') {
      const id = fromBase64Url(levels[1]!);
      const owner = fromBase64Url(levels[2]!);
      if (id.length !== ID_BYTES || owner.length !== OWNER_BYTES) return undefined;
      return { kind: 'record', id, owner, filter: `${base}/1/r/${levels[1]}/+` };
    }
    if (levels.length === 2 && levels[0] === 'q') {
      const queue = fromBase64Url(levels[1]!);
      return queue.length === QUEUE_BYTES ? { kind: 'queue', queue, filter: topic } : undefined;
    }
  } catch {
    // Somebody else's topic under our base: none of our business.
  }
  return undefined;
}
