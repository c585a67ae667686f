// What a board is met with: a broker, a virtual air that radios share, and a bench of commands.
import { openEmbeddedBroker } from '@rdv/gateway/server/embedded-broker';
import { Air } from '@rdv/hardware/air/air';
import { listenAir } from '@rdv/hardware/air/server';
import { systemClock } from '@rdv/hardware/host/system';
import { Bench } from '../../gateway/cli/rdv-process.js';

/** @param undo gets the ways to close it all, the last first */
export async function openStage(undo: (() => unknown)[]) {
  const bench = new Bench();
  undo.push(() => bench.close());
  const broker = await openEmbeddedBroker();
  undo.push(() => broker.close());
  const air = new Air({ clock: systemClock });
  const socket = bench.path('air.sock');
  const server = await listenAir(air, { path: socket });
  undo.push(() => server.close());
  return { bench, broker, air, adapter: `virtual:${socket}` };
}
