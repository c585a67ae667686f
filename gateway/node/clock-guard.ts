/**
 * Whether this machine's clock can be believed (SPEC §2): a board without a real-time clock starts in the past, and
 * records or ephemeral ids of a wrong epoch lead nobody to the publisher. Time is never taken from the network here.
 */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { RdvError } from '@rdv/protocol/core/errors';
import type { Clock, Logger, Store } from '@rdv/protocol/core/ports';

const STORE_KEY = 'clock/last-seconds';
const STORE_EVERY_MS = 15 * 60_000;

export interface ClockEvidence {
  readonly nowMs: number;
  /** When this program was built. */
  readonly buildMs: number;
  /** The last time this node stored, if any. */
  readonly lastMs: number | undefined;
  readonly hasRtc: boolean;
  /** What the system says of its synchronisation; undefined where nothing says. */
  readonly synchronised: boolean | undefined;
}

/** Undefined when the clock is confirmed, else why not. A minute of slack lets a clock be stepped back a little. */
export function clockDoubt(evidence: ClockEvidence): string | undefined {
  const slack = 60_000;
  if (evidence.nowMs + slack < evidence.buildMs) return 'it is earlier than the build of this program';
  if (evidence.lastMs !== undefined && evidence.nowMs + slack < evidence.lastMs) {
    return 'it is earlier than when this node last ran';
  }
  if (evidence.synchronised === false && !evidence.hasRtc) {
    return 'it is not synchronised, and this machine has no real-time clock';
  }
  return undefined;
}

function systemEvidence(): Pick<ClockEvidence, 'buildMs' | 'hasRtc' | 'synchronised'> {
  let hasRtc = true;
  let synchronised: boolean | undefined;
  if (process.platform === 'linux') {
    try {
      hasRtc = readdirSync('/sys/class/rtc').length > 0;
    } catch {
      hasRtc = false;
    }
    if (existsSync('/run/systemd/timesync')) synchronised = existsSync('/run/systemd/timesync/synchronized');
  }
  return { buildMs: statSync(fileURLToPath(import.meta.url)).mtimeMs, hasRtc, synchronised };
}

export interface ClockGuard {
  /** Undefined when confirmed. */
  readonly doubt: string | undefined;
  close(): void;
}

/** Checks at the start, and while in doubt whenever asked; stores the time every 15 minutes while it is believed. */
export function guardClock(
  ports: { readonly clock: Clock; readonly store: Store; readonly log: Logger },
  options: { readonly trust: boolean; readonly evidence?: Partial<ClockEvidence> },
): ClockGuard {
  const stored = ports.store.get(STORE_KEY);
  const lastMs = stored ? Number(new TextDecoder().decode(stored)) * 1000 : undefined;
  const gather = (): ClockEvidence => ({
    nowMs: ports.clock.now(),
    lastMs,
    ...systemEvidence(),
    ...options.evidence,
  });
  const evidence = gather();
  let doubt = options.trust ? undefined : clockDoubt(evidence);
  if (doubt) ports.log.error(`the clock cannot be believed: ${doubt}; set it (timedatectl), or use --trust-clock`);
  else if (evidence.synchronised === undefined && !evidence.hasRtc && !options.trust) {
    ports.log.warn('nothing says whether the clock is right: if nobody finds this node, check its time');
  }
  let timer = { cancel: (): void => {} };
  const keep = (): void => {
    const seconds = new TextEncoder().encode(String(Math.floor(ports.clock.now() / 1000)));
    void ports.store.commit([{ key: STORE_KEY, value: seconds }]).catch(() => {});
    timer = ports.clock.schedule(STORE_EVERY_MS, keep);
  };
  if (!doubt) keep();
  return {
    get doubt() {
      // Looked at again each time: the clock may have been set since.
      if (doubt) {
        doubt = clockDoubt(gather());
        if (!doubt) keep();
      }
      return doubt;
    },
    close: () => timer.cancel(),
  };
}

/** The error for commands that would publish. */
export function clockError(doubt: string): RdvError {
  return new RdvError(
    'clock',
    `not publishing, because the clock cannot be believed: ${doubt}; set it, or use --trust-clock`,
  );
}
