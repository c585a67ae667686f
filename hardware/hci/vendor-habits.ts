/**
 * Two habits of both vendor stacks, undone from outside without a patch:
 *  - each instance polls `isDevUp` every second with a timer that keeps the process alive, for ever;
 *  - each instance adds SIGINT and exit listeners; the SIGINT one ends the process with code 1.
 * Both are recognised by when they come and by the names of the bound methods (noble's are anonymous).
 */

const POLL_MS = 1000;
const POLL_NAMES: readonly string[] = ['bound pollIsDevUp', 'bound '];
const LISTENER_NAMES: readonly string[] = ['bound onSigInt', 'bound onExit', 'bound '];
const PROCESS_EVENTS = ['SIGINT', 'exit'] as const;

/**
 * To be called from within `isDevUp`: the poll timer that the stack sets before this turn ends does not keep the
 * process alive, and does not fire at all when `ended()` holds. Every other timer is left alone.
 */
export function tamePollTimer(ended: () => boolean): void {
  const real = globalThis.setTimeout;
  const restore = (): void => {
    if (globalThis.setTimeout === tamed) globalThis.setTimeout = real;
  };
  const set = (callback: (...args: unknown[]) => void, delayMs?: number, ...args: unknown[]): NodeJS.Timeout => {
    const timer = real(callback, delayMs, ...args);
    if (delayMs !== POLL_MS || !POLL_NAMES.includes(callback.name)) return timer;
    restore();
    if (ended()) clearTimeout(timer);
    return timer.unref();
  };
  const tamed = set as typeof setTimeout;
  globalThis.setTimeout = tamed;
  queueMicrotask(restore);
}

/** The process listeners of this moment, to be handed to `dropListenersSince`. */
export function processListeners(): ReadonlySet<unknown> {
  return new Set(PROCESS_EVENTS.flatMap((name) => process.listeners(name as 'SIGINT')));
}

/** Takes the stacks' own SIGINT and exit listeners that came after `before` off the process. */
export function dropListenersSince(before: ReadonlySet<unknown>): void {
  for (const name of PROCESS_EVENTS) {
    for (const listener of process.listeners(name as 'SIGINT')) {
      if (!before.has(listener) && LISTENER_NAMES.includes(listener.name)) process.removeListener(name, listener);
    }
  }
}
