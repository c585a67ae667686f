/** Two hosts, A and B, with a controller each on one air under virtual time; connected if asked. */
import { Air } from '@rdv/hardware/air/air';
import type { AirOptions } from '@rdv/hardware/air/options';
import { VirtualClock } from '@rdv/protocol/core/virtual-clock';
import { HciHost } from './hci-host.js';

export const A = '00:aa:02:00:00:01';
export const B = '00:aa:02:00:00:02';
export const C = '00:aa:02:00:00:03';

export interface Pair {
  readonly clock: VirtualClock;
  readonly air: Air;
  readonly a: HciHost;
  readonly b: HciHost;
}

export function pair(options: AirOptions = {}): Pair {
  const clock = new VirtualClock();
  const air = new Air({ clock, ...options });
  return { clock, air, a: new HciHost(air.controller()), b: new HciHost(air.controller()) };
}

export interface Connected extends Pair {
  /** Handle at A, the peripheral, and at B, the central. */
  readonly ah: number;
  readonly bh: number;
}

/** Connected at 1 ms (the anchor of the connection events), now 2 ms; interval 30 ms, supervision timeout 420 ms. */
export async function connected(options: AirOptions = {}): Promise<Connected> {
  const made = pair(options);
  made.a.advertise();
  made.b.connect(A);
  await made.clock.advance(2);
  return { ...made, ah: made.a.connections[0]!.handle, bh: made.b.connections[0]!.handle };
}
