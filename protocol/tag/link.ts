/**
 * Links (SPEC §2.6): a tag as a URI, for QR codes and NFC, with hints where to meet. Whoever prints a link chooses what is
 * in it, so a hint can name a place and nothing else: no user, no file, no radio of the reader.
 */
import { EID_EXPONENT, LINK_HINT_MAX_CHARS, LINK_HINTS_MAX, LINK_MAX_CHARS } from '../core/constants.js';
import { InvalidArgumentError, RdvError } from '../core/errors.js';

export interface TagLink {
  /** As for `parseTag`. A secret. */
  readonly tag: string;
  readonly realm: string;
  /** Namespace URLs, in the order in which to try them. */
  readonly namespaces: readonly string[];
  /** Of a stock beacon that carries the tag's beacon key (SPEC §8.1); absent: its clock shows unix time, k is 10. */
  readonly beacon?: BeaconClock;
}

/** How a stock Eddystone beacon counts: read when it was provisioned. */
export interface BeaconClock {
  /** Seconds of its clock minus unix seconds, within ±(2^32 − 1). */
  readonly offsetSeconds: number;
  /** A window is 2^exponent seconds; 0 to 15. */
  readonly exponent: number;
}

const MAX_EXPONENT = 15;
/** Parameters of a namespace URL that say where something is. */
const PLACES: readonly string[] = ['base', 'version'];
const HINT = /^[a-z][a-z0-9+.-]*:[!-~]*$/iu;

/** Whether `text` is a link, or wants to be one. No tag begins so. */
export function looksLikeLink(text: string): boolean {
  return /^rdv:/iu.test(text);
}

/**
 * What a link says.
 * @throws RdvError `invalid-tag`: another form, an encoding that is none, a hint that is more than a place
 * @example parseLink('rdv:caf%C3%A9?n=mqtt%3A%2F%2Fbroker.example').tag // 'café'
 */
export function parseLink(text: string): TagLink {
  if (!looksLikeLink(text)) throw invalid('it does not begin with rdv:');
  if (text.length > LINK_MAX_CHARS) throw invalid('it is too long');
  const [path = '', ...queries] = text.slice('rdv:'.length).split('?');
  if (path.startsWith('//')) throw invalid('nothing stands between "rdv:" and the tag');
  if (queries.length > 1 || text.includes('#')) throw invalid('? and # within it have to be written as %3F and %23');
  const tag = decode(path);
  if (tag === '' || looksLikeLink(tag)) throw invalid('it holds no tag');
  let realm = '';
  const namespaces: string[] = [];
  let offset: number | undefined;
  let exponent: number | undefined;
  for (const part of (queries[0] ?? '').split('&')) {
    const at = part.indexOf('=');
    const value = decode(part.slice(at + 1));
    // Other names are for later: a reader that does not know them can still meet.
    if (part.slice(0, at) === 'n') namespaces.push(place(value));
    if (part.slice(0, at) === 'r') realm = value;
    if (part.slice(0, at) === 'o') offset = whole(value, 2 ** 32 - 1, 'offset of the clock');
    if (part.slice(0, at) === 'k') exponent = whole(value, MAX_EXPONENT, 'exponent');
  }
  if (namespaces.length > LINK_HINTS_MAX) throw invalid(`it names more than ${LINK_HINTS_MAX} namespaces`);
  if ((exponent ?? 0) < 0) throw invalid('the exponent of its beacon is not 0 to 15');
  if (offset === undefined && exponent === undefined) return { tag, realm, namespaces };
  return { tag, realm, namespaces, beacon: { offsetSeconds: offset ?? 0, exponent: exponent ?? EID_EXPONENT } };
}

/**
 * The link that `parseLink` reads.
 * @throws InvalidArgumentError for what it would refuse
 */
export function formatLink({ tag, realm, namespaces, beacon }: TagLink): string {
  const parameters = namespaces.map((url) => `n=${encode(url)}`);
  if (realm !== '') parameters.push(`r=${encode(realm)}`);
  if (beacon) parameters.push(`o=${beacon.offsetSeconds}`, `k=${beacon.exponent}`);
  const link = `rdv:${encode(tag)}${parameters.length > 0 ? `?${parameters.join('&')}` : ''}`;
  try {
    parseLink(link);
  } catch (cause) {
    throw new InvalidArgumentError((cause as Error).message, { cause });
  }
  return link;
}

function encode(text: string): string {
  try {
    return encodeURIComponent(text);
  } catch (cause) {
    throw new InvalidArgumentError('"tag" expected well-formed Unicode: it holds half a character', { cause });
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw invalid('a % in it stands before something else than two hexadecimal digits of UTF-8', cause);
  }
}

function whole(text: string, most: number, what: string): number {
  const value = /^-?\d{1,10}$/u.test(text) ? Number(text) : Number.NaN;
  if (!(Math.abs(value) <= most)) throw invalid(`the ${what} of its beacon is no whole number up to ${most}`);
  // −0 and 0 are one.
  return value === 0 ? 0 : value;
}

function place(url: string): string {
  if (url.length > LINK_HINT_MAX_CHARS || !HINT.test(url)) throw invalid('a namespace in it is no URL');
  const [address = '', query] = url.split(/\?(.*)/su);
  if (address.includes('@')) throw invalid('a namespace in it names a user: say that with --namespace');
  for (const parameter of query === undefined || query === '' ? [] : query.split('&')) {
    const name = parameter.split('=')[0] ?? '';
    if (!PLACES.includes(name)) throw invalid('a namespace in it sets more than its place: say that with --namespace');
  }
  return url;
}

function invalid(why: string, cause?: unknown): RdvError {
  return new RdvError('invalid-tag', `this link cannot be used: ${why}`, cause === undefined ? undefined : { cause });
}
