/**
 * Where a tag comes from: the argument, `--tag-file`, standard input (`-`), or a prompt. A tag read from a file,
 * prompt or standard input loses exactly one final line end (SPEC §2); nothing else is trimmed.
 */
import { open } from 'node:fs/promises';
import { createInterface } from 'node:readline/promises';
import { TAG_MAX_BYTES } from '@rdv/protocol/core/constants';
import { CanceledError, InvalidArgumentError, RdvError } from '@rdv/protocol/core/errors';
import { type BeaconClock, looksLikeLink, parseLink, type TagLink } from '@rdv/protocol/tag/link';
import { parseAnyTag } from '../identity/any-tag.js';

export interface TagSource {
  /** The positional argument; `-` is standard input. */
  readonly argument: string | undefined;
  readonly file: string | undefined;
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function fromBytes(bytes: Uint8Array, where: string): string {
  if (bytes.length > TAG_MAX_BYTES + 2) {
    throw new RdvError('invalid-tag', `the tag in ${where} is longer than ${TAG_MAX_BYTES} bytes: use a shorter one`);
  }
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch (cause) {
    throw new RdvError('invalid-tag', `the tag in ${where} is not UTF-8 text`, { cause });
  }
  return withoutFinalLineEnd(text);
}

/** `text` without exactly one final LF, CR LF or CR. */
export function withoutFinalLineEnd(text: string): string {
  return text.replace(/\r\n$|\n$|\r$/, '');
}

async function readSome(path: string): Promise<Uint8Array> {
  // One byte more than allowed tells "too long" without reading a whole disk.
  const buffer = new Uint8Array(TAG_MAX_BYTES + 3);
  let handle: Awaited<ReturnType<typeof open>> | undefined;
  try {
    handle = await open(path, 'r');
    let length = 0;
    for (;;) {
      const { bytesRead } = await handle.read(buffer, length, buffer.length - length, null);
      length += bytesRead;
      if (bytesRead === 0 || length === buffer.length) break;
    }
    return buffer.subarray(0, length);
  } catch (cause) {
    throw new InvalidArgumentError(`cannot read the tag file ${path}: ${(cause as Error).message}`, { cause });
  } finally {
    await handle?.close();
  }
}

async function readStdin(): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > TAG_MAX_BYTES + 2) break;
  }
  return Buffer.concat(chunks);
}

/** What a link may say beside the tag. */
interface Placed {
  readonly realm: string;
  readonly namespace?: readonly string[];
}

/**
 * The tag, well-formed: whoever asks for a tag learns what is wrong with it before anything else happens. Given as a link
 * (SPEC §2.6), it brings realm, namespaces and the clock of a stock beacon along; what was said on the command line counts more.
 * @throws InvalidArgumentError when there is none and nobody can be asked · RdvError `invalid-tag`, `unsupported`
 */
export async function readTag<T extends Placed>(
  source: TagSource,
  options: T,
): Promise<{ tag: string; options: T; beacon?: BeaconClock }> {
  const text = await readText(source);
  const link: TagLink = looksLikeLink(text) ? parseLink(text) : { tag: text, realm: '', namespaces: [] };
  await parseAnyTag(link.tag);
  const namespace = options.namespace ?? (link.namespaces.length > 0 ? link.namespaces : undefined);
  const realm = options.realm === '' ? link.realm : options.realm;
  const placed = { ...options, realm, ...(namespace && { namespace }) };
  return { tag: link.tag, options: placed, ...(link.beacon && { beacon: link.beacon }) };
}

async function readText(source: TagSource): Promise<string> {
  if (source.file !== undefined) {
    if (source.argument !== undefined) throw new InvalidArgumentError('give the tag or --tag-file, not both');
    return fromBytes(await readSome(source.file), source.file);
  }
  if (source.argument === '-') return fromBytes(await readStdin(), 'standard input');
  if (source.argument !== undefined) return source.argument;
  if (!process.stdin.isTTY) {
    throw new InvalidArgumentError(
      'no tag given: pass it as an argument, with --tag-file FILE, or "-" for standard input',
    );
  }
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return withoutFinalLineEnd(await prompt.question('Tag: '));
  } catch (cause) {
    throw new CanceledError('no tag was given', { cause });
  } finally {
    prompt.close();
  }
}
