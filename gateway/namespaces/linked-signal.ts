/**
 * One signal out of several and a deadline. Not `AbortSignal.any`: what that leaves behind in a source that lives as long
 * as a namespace is never collected (Node 20, 54 bytes a call).
 */
import { CanceledError, RdvError, TimeoutError } from '@rdv/protocol/core/errors';
import type { Clock } from '@rdv/protocol/core/ports';

export interface LinkedSignal {
  readonly signal: AbortSignal;
  /** Fires it; default CanceledError. */
  abort(reason?: RdvError): void;
  /** Takes everything back: it is not needed any more. */
  release(): void;
}

/** @param deadline after which it fires with TimeoutError */
export function linkSignals(
  sources: readonly (AbortSignal | undefined)[],
  deadline?: { readonly clock: Clock; readonly ms: number },
): LinkedSignal {
  const controller = new AbortController();
  const onAbort = ({ target }: { readonly target: EventTarget | null }): void => {
    const reason: unknown = (target as AbortSignal | null)?.reason;
    controller.abort(reason instanceof RdvError ? reason : new CanceledError('canceled', { cause: reason }));
  };
  for (const source of sources) {
    if (source?.aborted) onAbort({ target: source });
    source?.addEventListener('abort', onAbort, { once: true });
  }
  const timer = deadline?.clock.schedule(deadline.ms, () =>
    controller.abort(new TimeoutError('the service does not answer')),
  );
  return {
    signal: controller.signal,
    abort: (reason = new CanceledError()) => controller.abort(reason),
    release: () => {
      timer?.cancel();
      for (const source of sources) source?.removeEventListener('abort', onAbort);
    },
  };
}
