/** Waiting with an end: every wait in RDV has a deadline and takes an AbortSignal. */
import { CanceledError, RdvError, TimeoutError } from './errors.js';
import type { Clock } from './ports.js';

/**
 * `work`, but no longer than `ms` milliseconds and not after `signal` fires. The work itself goes on: pass it a
 * signal of its own where it can be stopped.
 * @throws TimeoutError with `message` · CanceledError
 */
export function withDeadline<T>(
  clock: Clock,
  ms: number,
  message: string,
  work: Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const finish = (): void => {
      timer.cancel();
      signal?.removeEventListener('abort', onAbort);
    };
    const onAbort = (): void => {
      finish();
      reject(signal?.reason instanceof RdvError ? signal.reason : new CanceledError());
    };
    const timer = clock.schedule(ms, () => {
      finish();
      reject(new TimeoutError(message));
    });
    if (signal?.aborted) {
      onAbort();
      work.catch(() => {});
      return;
    }
    signal?.addEventListener('abort', onAbort);
    work.then(
      (value) => {
        finish();
        resolve(value);
      },
      (error: unknown) => {
        finish();
        reject(error);
      },
    );
  });
}

/** Resolves after `ms` milliseconds of `clock`. @throws CanceledError when `signal` fires first. */
export function delay(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(new CanceledError());
      return;
    }
    const onAbort = (): void => {
      timer.cancel();
      reject(new CanceledError());
    };
    const timer = clock.schedule(ms, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
