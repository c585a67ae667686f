/**
 * One process at a time: a lock file naming its holder by process id and start time, so that a lock left behind by a
 * crash is taken over and a reused process id is not mistaken for the holder.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { link, readFile, rename, unlink, writeFile } from 'node:fs/promises';
import { RdvError } from '@rdv/protocol/core/errors';

/** `pid startTime`; the start time is empty where the kernel does not tell. */
function describeProcess(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // Field 22, counted after the command, which may itself hold spaces and brackets.
    return `${pid} ${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''}`;
  } catch {
    return `${pid} `;
  }
}

function isAlive(holder: string): boolean {
  const pid = Number.parseInt(holder, 10);
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  return describeProcess(pid) === holder;
}

/**
 * Takes the lock at `path`. @returns the way to give it back
 * @throws RdvError `busy` while another process, or this one, holds it
 */
export async function takeLock(path: string): Promise<() => Promise<void>> {
  // Written beside and linked, so that nobody finds a lock that does not name its holder yet.
  const mine = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`;
  await writeFile(mine, describeProcess(process.pid), { flag: 'wx', mode: 0o600 });
  try {
    for (let attempt = 0; attempt < 3; attempt++) {
      try {
        await link(mine, path);
        return () => unlink(path).catch(() => {});
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      await removeIfStale(path);
    }
  } finally {
    await unlink(mine).catch(() => {});
  }
  throw new RdvError('busy', `${path} is fought over by several processes: start one at a time`);
}

/** Two that find it stale may both go on from here: the database's own lock then lets one in. */
async function removeIfStale(path: string): Promise<void> {
  const holder = await readFile(path, 'latin1').catch(() => '');
  if (isAlive(holder)) {
    throw new RdvError(
      'busy',
      `process ${Number.parseInt(holder, 10)} is using this store (${path.replace(/\.lock$/, '')}): stop it, or choose another state directory with --state DIR`,
    );
  }
  const aside = `${path}.${process.pid}.stale`;
  await rename(path, aside).catch(() => {});
  await unlink(aside).catch(() => {});
}
