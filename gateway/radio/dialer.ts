/** The way to a beacon for the `ble:` namespace: waits for a matching advert, connects. */
import type { Central } from '@rdv/hardware/radio/central';
import { CanceledError, throwIfAborted } from '@rdv/protocol/core/errors';
import type { EidMatch, LinkDialer } from '@rdv/protocol/link/dialer';
import type { PacketPipe } from '@rdv/protocol/link/pipe';
import type { Scanner, Sighting } from './scanner.js';

/** @param connectMs how long one attempt may take; beacons rotate, so an address must not be waited for long */
export function createDialer(scanner: Scanner, central: Central, connectMs = 5000): LinkDialer {
  const hear = (matches: EidMatch, signal: AbortSignal): Promise<Sighting> =>
    new Promise((resolve, reject) => {
      throwIfAborted(signal);
      const finish = (): void => {
        stop();
        signal.removeEventListener('abort', onAbort);
      };
      const onAbort = (): void => {
        finish();
        reject(new CanceledError());
      };
      const stop = scanner.listen((sighting) => {
        if (!sighting.connectable || !matches(sighting.eid)) return;
        finish();
        resolve(sighting);
      });
      signal.addEventListener('abort', onAbort);
    });
  return {
    async dial(matches, signal): Promise<PacketPipe> {
      const sighting = await hear(matches, signal);
      return central.connect(sighting.peer, { deadlineMs: connectMs, signal });
    },
  };
}
