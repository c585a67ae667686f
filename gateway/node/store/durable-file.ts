/** Files that are there whole after a power cut, or not at all. */
import { open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Makes renames and new files in it outlive a power cut. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Gives the finished file at `from` its name, durably. */
export async function renameDurably(from: string, to: string): Promise<void> {
  await rename(from, to);
  await syncDirectory(dirname(to));
}

/** Writes `path` whole, readable by its owner alone. */
export async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(`${path}.new`, 'w', 0o600);
  try {
    await file.chmod(0o600);
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  await renameDurably(`${path}.new`, path);
}
