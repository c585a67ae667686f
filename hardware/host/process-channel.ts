/** A radio host in a child process, and the channel to it: IPC with structured clone. */
import { fork } from 'node:child_process';
import type { Channel } from './channel.js';

/** A host that was told to end has this long before it is killed. */
const KILL_AFTER_MS = 1000;
/** One that has hung up and not ended after this long is given up. */
const HANG_UP_MS = 200;

/** Starts a radio host process, that of `program`. It ends when the channel is closed, or when this process does. */
export function spawnHost(program: URL = new URL('./child.js', import.meta.url)): Channel {
  const child = fork(program, {
    serialization: 'advanced',
    // The stacks print addresses of passers-by: nobody reads that.
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    execArgv: [],
  });
  let closed: string | undefined;
  let onMessage: ((message: unknown) => void) | undefined;
  let onClose: ((reason: string) => void) | undefined;
  const end = (reason: string): void => {
    if (closed !== undefined) return;
    closed = reason;
    onClose?.(reason);
  };
  // Stays to the end: without a listener Node keeps messages on the channel, and throws where that has gone meanwhile.
  child.on('message', (message) => {
    onMessage?.(message);
  });
  child.on('error', (error) => end(`the radio host cannot be started: ${error.message}`));
  child.on('exit', (code, signal) => end(`the radio host ended (${signal ?? `exit code ${code}`})`));
  // It comes before 'exit', which says more.
  child.on('disconnect', () => void setTimeout(() => end('the radio host hung up'), HANG_UP_MS).unref());
  return {
    pid: child.pid,
    send(message) {
      // An error here is told to 'error' or 'exit' as well.
      if (closed === undefined && child.connected) child.send(message as object, () => {});
    },
    onMessage(listener) {
      onMessage = listener;
    },
    onClose(listener) {
      if (closed !== undefined) listener(closed);
      else onClose = listener;
    },
    close() {
      closed ??= 'closed';
      onMessage = undefined;
      if (child.exitCode !== null || child.signalCode !== null) return;
      if (child.connected) child.disconnect();
      // A real timer: a stuck process does not heed anybody's virtual clock.
      const timer = setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS);
      timer.unref();
      child.once('exit', () => clearTimeout(timer));
    },
  };
}
