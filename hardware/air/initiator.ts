/** A pending LE Create Connection (Core Vol 6 Part B §4.4.4, Vol 4 Part E §7.8.12). It waits until it is canceled. */
import type { DeviceAddress } from './address.js';
import type { LinkTiming } from './events.js';
import { windowOpen } from './scanner.js';

export interface ConnectionRequest {
  readonly own: DeviceAddress;
  readonly peer: DeviceAddress;
  readonly timing: LinkTiming;
  readonly scanIntervalMs: number;
  readonly scanWindowMs: number;
  /** Monotonic milliseconds when it began. */
  readonly since: number;
}

export class Initiator {
  request: ConnectionRequest | undefined;

  /** The request, which is then no longer pending. */
  take(): ConnectionRequest | undefined {
    const { request } = this;
    this.request = undefined;
    return request;
  }

  /** Whether it listens for `from` at the monotonic time `now`. */
  wants(from: DeviceAddress, now: number, windows: boolean): boolean {
    const { request } = this;
    if (request?.peer !== from) return false;
    return !windows || windowOpen(now - request.since, request.scanIntervalMs, request.scanWindowMs);
  }
}
