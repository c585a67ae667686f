/** Roots and revocation lists in files: PEM bundles or DER, bounded. Lists are followed, since they are good for days only. */
import { readFileSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { CRL_MAX_BYTES } from '@rdv/protocol/core/constants';
import { RdvError } from '@rdv/protocol/core/errors';
import type { CertificateVerifier } from '@rdv/protocol/identity/api';
import { pemBlocks } from '@rdv/protocol/identity/pem';

/** A revocation list in PEM is a third longer than in DER, and a bundle of roots is no longer than that. */
const FILE_MAX_BYTES = 2 * CRL_MAX_BYTES;

let verifier: Promise<CertificateVerifier> | undefined;

/** The one X.509 verifier of this process, loaded when somebody first needs it. */
export function loadVerifier(): Promise<CertificateVerifier> {
  verifier ??= import('@rdv/protocol/certificates/verifier').then(({ x509Verifier }) => x509Verifier());
  return verifier;
}

/** Root certificates, DER. @throws RdvError `config` */
export function readRoots(path: string): Promise<Uint8Array[]> {
  return readDer(path, 'CERTIFICATE');
}

/** Revocation lists, DER. @throws RdvError `config` */
export function readRevocationLists(path: string): Promise<Uint8Array[]> {
  return readDer(path, 'X509 CRL');
}

/**
 * Revocation lists as the files have them whenever they are asked for: who runs for weeks goes by the newest one. A file that
 * is away or damaged leaves what was read of it before, until that has expired.
 * @throws RdvError `config` when one cannot be read now
 */
export async function followRevocationLists(paths: readonly string[]): Promise<() => Uint8Array[]> {
  const followed = await Promise.all(
    paths.map(async (path) => ({ path, seen: stampOf(path), lists: await readRevocationLists(path) })),
  );
  return () => {
    for (const one of followed) {
      const stamp = stampOf(one.path);
      if (stamp === undefined || stamp === one.seen) continue;
      try {
        one.lists = derOf(readFileSync(one.path), one.path, 'X509 CRL');
        one.seen = stamp;
      } catch {
        // Perhaps it is being written: it is looked at again.
      }
    }
    return followed.flatMap(({ lists }) => lists);
  };
}

/** Changes with the file; undefined: it is away, longer than any list, or a pipe that can be read once. */
function stampOf(path: string): string | undefined {
  try {
    const found = statSync(path, { bigint: true });
    if (found.isFile() && found.size <= FILE_MAX_BYTES) return `${found.ino} ${found.size} ${found.mtimeNs}`;
  } catch {
    // Away.
  }
  return undefined;
}

async function readDer(path: string, label: 'CERTIFICATE' | 'X509 CRL'): Promise<Uint8Array[]> {
  return derOf(await readBounded(path), path, label);
}

function derOf(bytes: Uint8Array, path: string, label: 'CERTIFICATE' | 'X509 CRL'): Uint8Array[] {
  // A SEQUENCE is no text.
  if (bytes[0] === 0x30) return [Uint8Array.from(bytes)];
  let found: Uint8Array[];
  try {
    const text = new TextDecoder().decode(bytes);
    found = pemBlocks(text).flatMap((block) => (block.label === label ? [block.der] : []));
  } catch (cause) {
    throw new RdvError('config', `${path} is damaged: ${(cause as Error).message}`, { cause });
  }
  if (found.length === 0) throw new RdvError('config', `${path} holds no "${label}", in PEM or DER`);
  return found;
}

/** The content of a small file. @throws RdvError `config` */
export async function readBounded(path: string): Promise<Uint8Array> {
  try {
    await using file = await open(path, 'r');
    const buffer = new Uint8Array(FILE_MAX_BYTES + 1);
    let length = 0;
    for (let read = -1; read !== 0 && length < buffer.length; length += read) {
      read = (await file.read(buffer, length, buffer.length - length, null)).bytesRead;
    }
    if (length > FILE_MAX_BYTES) throw new RdvError('config', `${path} is over ${FILE_MAX_BYTES} bytes`);
    return buffer.slice(0, length);
  } catch (cause) {
    if (cause instanceof RdvError) throw cause;
    throw new RdvError('config', `cannot read ${path}: ${(cause as Error).message}`, { cause });
  }
}
