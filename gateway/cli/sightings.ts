/** `rdv sightings`: where field gateways heard a tag's beacon. Who asks shows the broker that id, for this window. */
import { systemClock, systemRandom } from '@rdv/hardware/host/system';
import { fromUtf8, toHex } from '@rdv/protocol/core/bytes';
import { EID_EXPONENT } from '@rdv/protocol/core/constants';
import { InvalidArgumentError, RdvError } from '@rdv/protocol/core/errors';
import { TagSecret } from '@rdv/protocol/tag/derived';
import { eidAt } from '@rdv/protocol/tag/eid';
import { realmOf } from '@rdv/protocol/tag/secret';
import { parseAnyTag } from '../identity/any-tag.js';
import { parseSightingTopic, sightingFilter } from '../namespaces/mqtt-node-topics.js';
import { openLogger } from '../node/logger.js';
import { SIGHTING_SECONDS } from '../node/sightings-report.js';
import { openBrokerTopics } from './broker-topics.js';
import { type Command, Option } from './commander.js';
import { duration } from './output.js';
import { outputOf, type TagOptions, untilInterrupted, withTagOptions } from './shared.js';
import { readTag } from './tag-input.js';

interface SightingsOptions extends TagOptions {
  readonly namespace?: string;
  readonly seconds: string;
  readonly follow?: boolean;
}

interface Seen {
  readonly node: string;
  readonly at: number;
  readonly rssi: number | undefined;
  readonly place: string | undefined;
}

/** A report as received, if it is one and not too old. @param now unix seconds */
export function decodeSighting(node: string, payload: Uint8Array, now: number): Seen | undefined {
  if (payload.length === 0 || payload.length > 512) return undefined;
  try {
    const { at, rssi, place } = JSON.parse(fromUtf8(payload)) as Record<string, unknown>;
    if (!Number.isSafeInteger(at) || (at as number) < now - SIGHTING_SECONDS || (at as number) > now + 300)
      return undefined;
    return {
      node,
      at: at as number,
      rssi: Number.isInteger(rssi) && Math.abs(rssi as number) <= 127 ? (rssi as number) : undefined,
      place: typeof place === 'string' ? place.replaceAll(/\p{Cc}/gu, ' ').slice(0, 64) : undefined,
    };
  } catch {
    return undefined;
  }
}

export function sightingsCommand(command: Command): Command {
  return withTagOptions(command)
    .description('show where field gateways heard the beacon of a tag')
    .addOption(new Option('-n, --namespace <url>', 'the broker: mqtt://HOST').env('RDV_NAMESPACE'))
    .option('--seconds <n>', 'wait so long for what the broker retains', '0.5')
    .option('--follow', 'go on until interrupted')
    .action(async (argument: string | undefined, options: SightingsOptions) => {
      const out = outputOf(options);
      const seconds = Number(options.seconds);
      if (!(seconds >= 0 && seconds <= 3600)) throw new InvalidArgumentError('--seconds must be 0 to 3600');
      const said = options.namespace?.split(/\s+/);
      const placed = { realm: options.realm, ...(said && { namespace: said }) };
      const given = await readTag({ argument, file: options.tagFile }, placed);
      // Of several, as a link may name them, the first broker.
      const urls = given.options.namespace ?? [];
      const broker = urls.find((url) => url.startsWith('mqtt')) ?? urls[0];
      const secret = await TagSecret.fromTag(await parseAnyTag(given.tag), realmOf(given.options.realm));
      const log = openLogger({ level: 'error', json: options.json === true });
      const { topics, base } = await openBrokerTopics(broker, {
        clock: systemClock,
        random: systemRandom,
        log,
      });
      const { offsetSeconds = 0, exponent = EID_EXPONENT } = given.beacon ?? {};
      const windowSeconds = 2 ** exponent;
      /** Where the beacon's id of `at` (unix seconds) stands. */
      const filterAt = (at: number): string =>
        sightingFilter(base, eidAt(secret.beaconKey, Math.max(0, at + offsetSeconds), exponent));
      const now = (): number => Math.floor(systemClock.now() / 1000);
      const shown = new Set<string>();
      const listenTo = async (at: number): Promise<void> => {
        await topics.subscribe(filterAt(at), (topic, payload) => {
          const place = parseSightingTopic(base, topic);
          const seen = place && decodeSighting(place.node, payload, now());
          const key = seen && `${seen.node} ${seen.at}`;
          if (!seen || !place || key === undefined || shown.has(key) || shown.size >= 100_000) return;
          shown.add(key);
          const strength = seen.rssi === undefined ? '' : `  ${seen.rssi} dBm`;
          out.result(
            { ...seen, eid: toHex(place.eid) },
            `${seen.node}  ${duration(Math.max(0, now() - seen.at) * 1000)} ago${strength}${seen.place ? `  ${seen.place}` : ''}`,
          );
        });
      };
      const { signal } = untilInterrupted();
      try {
        let window = now();
        for (const offset of [-1, 0, 1]) await listenTo(window + offset * windowSeconds);
        if (options.follow) out.progress('listening', {}, 'listening …');
        const until = performance.now() + seconds * 1000;
        while (!signal.aborted && (options.follow || performance.now() < until)) {
          await new Promise((resolve) =>
            setTimeout(resolve, options.follow ? 1000 : Math.max(0, until - performance.now())),
          );
          // The window after the next comes in as this one ends.
          if (now() - window < windowSeconds) continue;
          topics.unsubscribe(filterAt(window - windowSeconds));
          window += windowSeconds;
          await listenTo(window + windowSeconds);
        }
        if (!options.follow && shown.size === 0) {
          throw new RdvError(
            'not-published',
            'no gateway on that broker has heard a beacon of this tag in the last half hour',
          );
        }
      } finally {
        secret.wipe();
        await topics.close();
      }
    });
}
