/** Recognises the beacon of a key on the air: the ids of the windows around now, looked up by hash (SPEC §8). */
import type { Clock } from '@rdv/protocol/core/ports';
import type { EidMatch } from '@rdv/protocol/link/dialer';
import { EidResolver } from '@rdv/protocol/tag/eid-resolver';

/** @param beaconKey 16 bytes */
export function eidMatch(clock: Clock, beaconKey: Uint8Array): EidMatch {
  const now = (): number => Math.floor(clock.now() / 1000);
  const resolver = new EidResolver<true>(now());
  resolver.add(beaconKey, true);
  return (eid) => {
    resolver.advance(now());
    return resolver.resolve(eid) !== undefined;
  };
}
