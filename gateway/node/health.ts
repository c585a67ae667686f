/**
 * How a node is, in one word and in sentences: computed from what it knows of its parts. That the process runs says
 * nothing: a node whose radio is deaf, or whose beacon nobody hears, says so by itself.
 */
import type { AdapterState } from '@rdv/hardware/radio/central';
import type { AirProofStatus } from '../radio/air-proof.js';

/** A room without any Bluetooth for so long is worth a word; the controller has been asked twice by then. */
const QUIET_MS = 90_000;

export interface AdapterPart {
  /** What people called it; stays in the node, for it may be an address. */
  readonly name: string;
  readonly state: AdapterState;
  /** Since any advert was heard; undefined: nobody wants it to scan. */
  readonly quietMs: number | undefined;
}

export interface HealthParts {
  readonly clockDoubt: string | undefined;
  readonly adapters: readonly AdapterPart[];
  readonly namespaces: readonly { readonly state: string }[];
  readonly onAir: AirProofStatus | undefined;
  /** One that is away is none: it is on its battery, as it should be. */
  readonly boards: readonly { readonly problem: string | undefined }[];
}

export interface NodeHealth {
  /** `failing`: it does not do what it is for. `degraded`: it does, but not all of it. */
  readonly status: 'ok' | 'degraded' | 'failing';
  /** For people; adapters and namespaces by number, in the order of `rdv status`. */
  readonly problems: readonly string[];
}

/** What a radio does: `deaf` is up and hears nothing at all. */
export type Hearing = 'hearing' | 'deaf' | 'idle' | 'down';

export function hearingOf(adapter: AdapterPart): Hearing {
  if (adapter.state !== 'up') return 'down';
  if (adapter.quietMs === undefined) return 'idle';
  return adapter.quietMs >= QUIET_MS ? 'deaf' : 'hearing';
}

export function healthOf({ clockDoubt, adapters, namespaces, onAir, boards }: HealthParts): NodeHealth {
  const failing: string[] = [];
  const degraded: string[] = [];
  if (clockDoubt) failing.push(`the clock cannot be believed: ${clockDoubt}`);
  adapters.forEach((adapter, index) => {
    const hearing = hearingOf(adapter);
    if (hearing === 'down') failing.push(`adapter ${index} is ${adapter.state}`);
    if (hearing === 'deaf') {
      degraded.push(`adapter ${index} is up and has heard nothing for ${Math.round((adapter.quietMs ?? 0) / 1000)} s`);
    }
  });
  if (onAir?.state === 'silent') failing.push('the second radio does not hear the beacon');
  boards.forEach(({ problem }, index) => {
    if (problem !== undefined) degraded.push(`board ${index}: ${problem}`);
  });
  const down = namespaces.flatMap(({ state }, index) => (state === 'up' ? [] : [index]));
  for (const index of down) degraded.push(`namespace ${index} is not reached`);
  if (down.length > 0 && down.length === namespaces.length) failing.push('no namespace is reached');
  const status = failing.length > 0 ? 'failing' : degraded.length > 0 ? 'degraded' : 'ok';
  return { status, problems: [...failing, ...degraded] };
}
