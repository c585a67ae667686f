/**
 * The key (32 B) that the store's values are sealed under: the systemd credential `rdv-store-key`, where there is one,
 * else a file beside the store, made at the first start. Both hold 64 hexadecimal digits.
 */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fromHex, toHex, utf8 } from '@rdv/protocol/core/bytes';
import { RdvError } from '@rdv/protocol/core/errors';
import type { Random } from '@rdv/protocol/core/ports';
import { writeDurably } from './durable-file.js';

const KEY_BYTES = 32;
export const STORE_KEY_CREDENTIAL = 'rdv-store-key';

export interface StoreKeySource {
  /** The key file. */
  readonly path: string;
  /** systemd's $CREDENTIALS_DIRECTORY. */
  readonly credentials: string | undefined;
}

function read(path: string): Uint8Array {
  let text: string;
  try {
    text = readFileSync(path, 'latin1').trim();
  } catch (cause) {
    throw new RdvError('store', `the store's key ${path} cannot be read: ${(cause as Error).message}`, { cause });
  }
  if (!/^[0-9a-f]{64}$/i.test(text)) {
    throw new RdvError('store', `the store's key ${path} is not 64 hexadecimal digits: put the right one back`);
  }
  return fromHex(text);
}

/** What others can read is no secret. Windows knows no such modes. */
function assertPrivate(path: string): void {
  const mode = statSync(path).mode & 0o777;
  if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
    const octal = mode.toString(8).padStart(3, '0');
    throw new RdvError('store', `others may read the store's key ${path} (mode ${octal}): chmod 600 it`);
  }
}

/**
 * The key, owned by the caller.
 * @param isNew there is no store yet: a key is made if there is none
 * @throws RdvError `store` when it is missing, malformed, or readable by others
 */
export async function openStoreKey(source: StoreKeySource, isNew: boolean, random: Random): Promise<Uint8Array> {
  const credential = source.credentials && join(source.credentials, STORE_KEY_CREDENTIAL);
  // systemd sees to who may read it.
  if (credential && existsSync(credential)) return read(credential);
  if (existsSync(source.path)) {
    assertPrivate(source.path);
    return read(source.path);
  }
  if (!isNew) {
    throw new RdvError(
      'store',
      `the store's key ${source.path} is missing, and so is the systemd credential ${STORE_KEY_CREDENTIAL}: ` +
        'put it back; without it the store cannot be read',
    );
  }
  const key = random(KEY_BYTES);
  try {
    await writeDurably(source.path, utf8(`${toHex(key)}\n`));
  } catch (cause) {
    throw new RdvError('store', `the store's key ${source.path} cannot be made: ${(cause as Error).message}`, {
      cause,
    });
  }
  return key;
}
