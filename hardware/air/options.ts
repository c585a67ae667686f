/** What an air and its controllers can be told, and what holds when they are not. */
import { InvalidArgumentError } from '@rdv/protocol/core/errors';
import type { Clock } from '@rdv/protocol/core/ports';
import type { Uniform } from './uniform.js';

/** How well two devices hear each other, in both directions. */
export interface Path {
  /** False: out of range. Links across it die at their supervision timeout unless it comes back before. */
  readonly up: boolean;
  /** dBm, −127 to 20. */
  readonly rssi: number;
  /** Probability that one packet is lost, 0 to 1. 1 is the same as out of range. */
  readonly loss: number;
}

export interface ControllerOptions {
  /** Public address, `00:aa:02:00:00:01`. Default: the next free one of the air. */
  readonly address?: string;
  /** ACL buffers, 1 to 255. Default 8. */
  readonly aclPackets?: number;
  /** Bytes in an ACL buffer, 27 to 1021. Default 251. */
  readonly aclLength?: number;
  /** Links in both roles together, 1 to 64. Default 16. */
  readonly maxLinks?: number;
  /** Links as peripheral; connectable advertising beyond it is refused with 0x0D. Default `maxLinks`. */
  readonly maxPeripheralLinks?: number;
  /** Handles of new links: counted up, or the lowest free one as some hardware does. Default `increasing`. */
  readonly handles?: 'increasing' | 'lowest';
}

export interface AirOptions {
  /** Default: the real clock. */
  readonly clock?: Clock;
  /**
   * Runs `turn` soon and not within the call: controllers answer in a later turn, as hardware does.
   * Default: `setImmediate` on the real clock, `clock.schedule(0)` on a given one.
   */
  readonly defer?: (turn: () => void) => void;
  /**
   * Milliseconds until a controller takes what its host wrote, 0 to 1000, as on a slow serial line. Default 0.
   * Not together with `defer`.
   */
  readonly latencyMs?: number;
  /** Chance: losses and advertising delays. Default: seeded with `seed`. */
  readonly random?: Uniform;
  /** Default 1. */
  readonly seed?: number;
  /** ACL packets in each direction of a connection event, 0 to 255; 0 (default): at once, without events. */
  readonly packetsPerEvent?: number;
  /** Scan windows are kept to: a scanner hears nothing between them. Default true. */
  readonly scanWindows?: boolean;
  /** Milliseconds from enabling advertising to its first event, 0 to 100. Default 1. */
  readonly advertStartMs?: number;
  /** What holds between two devices that `setPath` was not told of. Default in range, −50 dBm, no loss. */
  readonly path?: Partial<Path>;
  /** What holds for controllers that say nothing else. */
  readonly controller?: Omit<ControllerOptions, 'address'>;
  /** Controllers at once, 1 to 4096. Default 1024. */
  readonly maxControllers?: number;
}

/** An integer option, checked. @throws InvalidArgumentError naming it */
export function integerOption(
  name: string,
  value: number | undefined,
  otherwise: number,
  min: number,
  max: number,
): number {
  if (value === undefined) return otherwise;
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new InvalidArgumentError(`"${name}" expected an integer from ${min} to ${max}, got ${value}`);
  }
  return value;
}

/** `change` over `path`, checked. @throws InvalidArgumentError */
export function changedPath(path: Path, change: Partial<Path>): Path {
  const next: Path = { ...path, ...change };
  if (typeof next.up !== 'boolean') throw new InvalidArgumentError('"up" expected a boolean');
  if (!(next.loss >= 0 && next.loss <= 1)) throw new InvalidArgumentError(`"loss" expected 0 to 1, got ${next.loss}`);
  integerOption('rssi', next.rssi, 0, -127, 20);
  return next;
}
