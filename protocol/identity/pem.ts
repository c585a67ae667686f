/** PEM (RFC 7468): text around DER. What is inside is others' business. */
import { fromBase64Url } from '../core/bytes.js';
import { DecodeError } from '../core/errors.js';

export interface PemBlock {
  /** `CERTIFICATE`, `PUBLIC KEY`, `X509 CRL`, … */
  readonly label: string;
  readonly der: Uint8Array;
}

/** A file with more blocks than this is none of ours. */
const BLOCKS_MAX = 256;
const BLOCK = /-----BEGIN ([A-Z0-9 ]{1,64})-----([^-]*)-----END \1-----/g;

/**
 * Every block of `text`, in order. What stands around blocks is passed over, as RFC 7468 §2 wants it.
 * @throws DecodeError for a block without end, and for what is not base64 in one
 */
export function pemBlocks(text: string): PemBlock[] {
  const blocks: PemBlock[] = [];
  let begun = 0;
  for (let at = text.indexOf('-----BEGIN '); at >= 0; at = text.indexOf('-----BEGIN ', at + 1)) begun++;
  if (begun > BLOCKS_MAX) throw new DecodeError(`more than ${BLOCKS_MAX} PEM blocks`);
  for (const [, label, content] of text.matchAll(BLOCK)) blocks.push({ label: label!, der: base64(content!) });
  if (blocks.length !== begun) throw new DecodeError('a PEM block that is cut off or damaged');
  return blocks;
}

/** Base64 with its padding (RFC 4648 §4), white space passed over. */
function base64(text: string): Uint8Array {
  const compact = text.replace(/[ \t\r\n]/g, '');
  const digits = compact.replace(/={1,2}$/, '');
  if (compact.length === 0 || compact.length % 4 !== 0 || /[-_]/.test(digits)) throw new DecodeError('not base64');
  return fromBase64Url(digits.replaceAll('+', '-').replaceAll('/', '_'));
}
