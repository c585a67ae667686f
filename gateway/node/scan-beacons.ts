/** Beacons heard, as people ask for them: every one, and whose it is of the tags that were given. */
import { toHex } from '@rdv/protocol/core/bytes';
import { EID_EXPONENT } from '@rdv/protocol/core/constants';
import type { Clock } from '@rdv/protocol/core/ports';
import { TagSecret } from '@rdv/protocol/tag/derived';
import { EidResolver } from '@rdv/protocol/tag/eid-resolver';
import { realmOf } from '@rdv/protocol/tag/secret';
import { parseAnyTag } from '../identity/any-tag.js';
import type { Scanner } from '../radio/scanner.js';
import type { BeaconHeard, ScanRequest } from './api.js';

/**
 * Resolves when `signal` fires.
 * @param openScanner called once the tags are derived
 * @throws RdvError `invalid-tag`, or what `openScanner` throws
 */
export async function scanBeacons(
  clock: Clock,
  openScanner: () => Promise<Pick<Scanner, 'listen'>>,
  request: ScanRequest,
  onHeard: (heard: BeaconHeard) => void,
  signal: AbortSignal,
): Promise<void> {
  const now = (): number => Math.floor(clock.now() / 1000);
  const resolver = new EidResolver<number>(now());
  for (const [index, { text, realm, beacon }] of request.tags.entries()) {
    const secret = await TagSecret.fromTag(await parseAnyTag(text), realmOf(realm));
    const { offsetSeconds: clockOffsetSeconds = 0, exponent = EID_EXPONENT } = beacon ?? {};
    resolver.add(secret.beaconKey, index, { clockOffsetSeconds, exponent });
    secret.wipe();
  }
  if (signal.aborted) return;
  const scanner = await openScanner();
  const stop = scanner.listen((sighting) => {
    resolver.advance(now());
    onHeard({
      eid: toHex(sighting.eid),
      format: sighting.format,
      rssi: sighting.rssi,
      connectable: sighting.connectable,
      wantsBridging: sighting.wantsBridging,
      hasMail: sighting.hasMail,
      tag: resolver.resolve(sighting.eid)?.value,
    });
  });
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  stop();
}
