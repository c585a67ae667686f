/** Sightings on a broker: heard with a real radio stack on the virtual air, and floods from a listener of the test's. */
import { decodeSighting } from '@rdv/gateway/cli/sightings';
import { parseSightingTopic, sightingFilter } from '@rdv/gateway/namespaces/mqtt-node-topics';
import { openMqttPlain } from '@rdv/gateway/namespaces/mqtt-plain';
import { SIGHTING_SECONDS, SightingsReporter } from '@rdv/gateway/node/sightings-report';
import type { Sighting, SightingListener } from '@rdv/gateway/radio/scanner';
import { openEmbeddedBroker } from '@rdv/gateway/server/embedded-broker';
import { fromUtf8, toHex, utf8 } from '@rdv/protocol/core/bytes';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import { VirtualClock } from '@rdv/protocol/core/virtual-clock';
import { eidAt } from '@rdv/protocol/tag/eid';
import { afterEach, expect, it } from 'vitest';
import { bytes } from '../../contract/records.js';
import { newTag, Stage } from '../../scenarios/stage.js';
import { surroundings, until } from '../../support/mqtt-rig.js';

const NODE = 'AAAAAAAAAAAAAA';
const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const each of undo.splice(0).reverse()) await each();
});

async function broker() {
  const opened = await openEmbeddedBroker();
  undo.push(() => opened.close());
  const client = async () => {
    const target = { protocol: 'mqtt', host: '127.0.0.1', port: opened.port, version: 4 } as const;
    const topics = await openMqttPlain({ ...surroundings, target });
    undo.push(() => topics.close());
    await topics.firstAttempt;
    return topics;
  };
  const [topics, reader] = [await client(), await client()];
  const seen: [topic: string, payload: string][] = [];
  return { topics, reader, seen, hear: (topic: string, payload: Uint8Array) => seen.push([topic, fromUtf8(payload)]) };
}

it('a tag holder finds where its beacon is heard; the report holds no address', async () => {
  const { topics, reader, seen, hear } = await broker();
  const stage = Stage.real();
  undo.push(() => stage.close());
  const tag = await newTag();
  const kiosk = await stage.kiosk();
  kiosk.role.advertise('one', tag, 'none');
  const { scanner } = await stage.visitor();
  const reporter = new SightingsReporter({
    topics,
    base: 'rdv',
    node: NODE,
    ...surroundings,
    listen: (listener) => scanner.listen(listener),
    place: 'roof',
  });
  undo.push(() => reporter.close());
  // Of this window and of the next, which may begin at any moment.
  const eids = [0, 1024].map((later) => eidAt(tag.beaconKey, Math.floor(Date.now() / 1000) + later));
  for (const eid of eids) await reader.subscribe(sightingFilter('rdv', eid), hear);
  await until(() => seen.length > 0);
  const [topic, payload] = seen[0]!;
  expect(eids.map(toHex)).toContain(toHex(parseSightingTopic('rdv', topic)!.eid));
  expect(decodeSighting(NODE, utf8(payload), Math.floor(Date.now() / 1000))).toMatchObject({
    node: NODE,
    rssi: -50,
    place: 'roof',
  });
  expect(Object.keys(JSON.parse(payload)).toSorted()).toEqual(['at', 'place', 'rssi']);
  // Taken back at the end.
  reporter.close();
  await until(() => seen.at(-1)![1] === '');
});

it('reports a beacon once a minute, at once when it comes nearer, and no more beacons than it keeps', async () => {
  const { topics, reader, seen, hear } = await broker();
  const clock = new VirtualClock();
  let listener: SightingListener = () => {};
  const reporter = new SightingsReporter({
    topics,
    base: 'rdv',
    node: NODE,
    clock,
    log: silentLogger,
    listen: (given) => {
      listener = given;
      return () => {};
    },
  });
  undo.push(() => reporter.close());
  const heard = (eid: Uint8Array, rssi: number): void => listener({ eid, rssi } as Sighting);
  const flush = async (): Promise<void> => {
    const count = seen.length;
    await topics.publish('rdv/1/s/flush', utf8('.'), { retain: false });
    await until(() => seen.slice(count).some(([topic]) => topic.endsWith('flush')));
    seen.splice(0, seen.length, ...seen.filter(([topic]) => !topic.endsWith('flush')));
  };
  await reader.subscribe('rdv/1/s/#', hear);
  const eid = bytes(8);
  for (let i = 0; i < 50; i++) heard(eid, -70);
  heard(eid, -65);
  heard(eid, -60);
  await flush();
  expect(seen.map(([, payload]) => JSON.parse(payload).rssi)).toEqual([-70, -60]);
  await clock.advance(61_000);
  heard(eid, 127);
  await flush();
  expect(seen).toHaveLength(3);
  expect(JSON.parse(seen[2]![1])).not.toHaveProperty('rssi');
  seen.length = 0;
  for (let i = 0; i < 3000; i++) heard(Uint8Array.from([1, 2, 3, 4, 5, 6, i >> 8, i & 255]), -70);
  await flush();
  expect(seen).toHaveLength(1023);
  seen.length = 0;
  await clock.advance(SIGHTING_SECONDS * 1000 + 60_000);
  await flush();
  expect(seen).toHaveLength(1024);
  expect(seen.every(([, payload]) => payload === '')).toBe(true);
});

it.each([
  '',
  '{',
  '[]',
  'null',
  '{}',
  '{"at":"now"}',
  '{"at":1}',
  '{"at":99999999999}',
  `{"at":1800000000,"x":"${'y'.repeat(600)}"}`,
])('passes over what is no report, or an old one: %s', (payload) => {
  expect(decodeSighting(NODE, utf8(payload), 1_800_000_000)).toBeUndefined();
});

it('shows no control characters of a stranger’s', () => {
  const place = JSON.stringify({ at: 1_800_000_000, place: '\u001b[2Jroof', rssi: 'x' });
  expect(decodeSighting(NODE, utf8(place), 1_800_000_000)).toEqual({
    node: NODE,
    at: 1_800_000_000,
    rssi: undefined,
    place: ' [2Jroof',
  });
});
