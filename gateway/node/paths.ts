/** Where a node keeps what it keeps. One state directory is one node. */
import { chmodSync, existsSync, mkdirSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { RdvError } from '@rdv/protocol/core/errors';

export interface NodePaths {
  readonly directory: string;
  readonly store: string;
  /** The store of the first version, and beside it the lock that both versions take. */
  readonly firstStore: string;
  readonly storeKey: string;
  readonly controlSocket: string;
  readonly nodeKey: string;
}

/** `--state`, else $RDV_STATE, else systemd's $STATE_DIRECTORY, else $XDG_STATE_HOME/rdv, else ~/.local/state/rdv. */
export function nodePaths(explicit: string | undefined): NodePaths {
  const directory = resolve(
    explicit ??
      process.env['RDV_STATE'] ??
      process.env['STATE_DIRECTORY'] ??
      (process.env['XDG_STATE_HOME']
        ? join(process.env['XDG_STATE_HOME'], 'rdv')
        : join(homedir(), '.local', 'state', 'rdv')),
  );
  return {
    directory,
    store: join(directory, 'store.db'),
    firstStore: join(directory, 'store'),
    storeKey: join(directory, 'store.key'),
    controlSocket: join(directory, 'control.sock'),
    nodeKey: join(directory, 'node.key'),
  };
}

/** Step by step: Node's own `recursive` never returns where the kernel refuses with ENOENT, as in /proc. */
function makeDirectory(path: string): void {
  if (existsSync(path)) return;
  makeDirectory(dirname(path));
  mkdirSync(path, { mode: 0o700 });
}

/** Makes the state directory, readable by its owner alone. @throws RdvError `store` */
export function ensureStateDirectory(paths: NodePaths): void {
  try {
    makeDirectory(paths.directory);
    // Not where it is so already: a file system that is mounted read-only is the store's to tell of.
    if ((statSync(paths.directory).mode & 0o777) !== 0o700) chmodSync(paths.directory, 0o700);
  } catch (cause) {
    throw new RdvError(
      'store',
      `cannot make the state directory ${paths.directory}: ${(cause as Error).message}; choose another with --state DIR`,
      { cause },
    );
  }
}
