/**
 * From a tag to its secret (SPEC §2). Text is stretched, because it can be guessed; 128 random bits need no
 * stretching. The result may be cached, encrypted: it is as good as the tag.
 */
import { hkdfExtract, scrypt, sha256 } from '#primitives';
import { assertBytes, concat, u16be, utf8, wipe } from '../core/bytes.js';
import { REALM_MAX_BYTES, SCRYPT, TAG_SECRET_BYTES } from '../core/constants.js';
import { InvalidArgumentError } from '../core/errors.js';
import type { Tag } from './tag.js';

/**
 * `tagSecret`, 32 B, owned by the caller.
 * @param realm 0 to 64 B: keeps deployments apart. It does not separate users: in the default realm, the empty one, one
 * dictionary of stretched tags serves against everybody
 * @throws InvalidArgumentError · RdvError `busy` when too many are being derived
 */
export async function deriveTagSecret(tag: Tag, realm: Uint8Array = new Uint8Array(0)): Promise<Uint8Array> {
  assertBytes('realm', realm);
  if (realm.length > REALM_MAX_BYTES) {
    throw new InvalidArgumentError(`"realm" expected at most ${REALM_MAX_BYTES} bytes, got ${realm.length}`);
  }
  const salt = sha256(utf8('rdv1 realm'), u16be(realm.length), realm);
  const input = tag.kdfInput();
  try {
    if (tag.kind === 'random') return hkdfExtract(salt, input);
    return await scrypt(input, salt, SCRYPT, TAG_SECRET_BYTES);
  } finally {
    wipe(input);
  }
}

/** The realm written as `text`: its UTF-8 in NFC. @throws InvalidArgumentError over 64 B or not well-formed */
export function realmOf(text: string): Uint8Array {
  const bytes = utf8(text.normalize('NFC'));
  if (/\p{Surrogate}/u.test(text) || bytes.length > REALM_MAX_BYTES) {
    throw new InvalidArgumentError(`"realm" expected well-formed text of at most ${REALM_MAX_BYTES} bytes`);
  }
  return concat(bytes);
}
