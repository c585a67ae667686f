/** SIGKILL at any moment, and a new start: nothing that was acknowledged is lost, nobody has to be told. */
import { openHttpNamespace } from '@rdv/gateway/namespaces/http';
import { openWsNamespace } from '@rdv/gateway/namespaces/ws';
import { toHex } from '@rdv/protocol/core/bytes';
import { expect, it } from 'vitest';
import { bytes } from '../../contract/records.js';
import { AcknowledgedWriter } from '../../support/acknowledged.js';
import { expectTalk, firstOf, newTag, publishOn, respondOn } from '../../support/mqtt-rendezvous.js';
import { surroundings, until } from '../../support/mqtt-rig.js';
import { ServiceProcess } from '../../support/service-process.js';

const KILLS = 8;

it(`keeps every acknowledged frame and record over ${KILLS} kills, and its readers miss none`, async () => {
  await using service = await ServiceProcess.start();
  const target = { host: '127.0.0.1', port: service.port };
  const writer = openHttpNamespace({ ...surroundings, target: { ...target, protocol: 'http' } });
  const readers = [
    openHttpNamespace({ ...surroundings, target: { ...target, protocol: 'http' } }),
    openWsNamespace({ ...surroundings, target: { ...target, protocol: 'ws' } }),
  ];
  await Promise.all([writer, ...readers].map(({ firstAttempt }) => firstAttempt));
  const work = new AcknowledgedWriter(writer);
  const heard = readers.map(() => new Set<string>());
  for (const [i, reader] of readers.entries())
    await reader.subscribe(work.queue, (frame) => heard[i]!.add(toHex(frame))).ready;
  const begun = work.frames.length;
  for (let kill = 0; kill < KILLS; kill++) {
    const before = work.frames.length;
    await until(() => work.frames.length > before + 20, 60_000);
    await service.kill();
    await service.start();
  }
  const before = work.frames.length;
  await until(() => work.frames.length > before + 20, 60_000);
  await work.stop();
  // What was sent before the readers were there is not theirs.
  const theirs = (one: Set<string>) => work.frames.slice(begun + 3).every((frame) => one.has(frame));
  await until(() => heard.every(theirs), 30_000);
  // Somebody who comes now finds all of it.
  const late = openHttpNamespace({ ...surroundings, fromKept: true, target: { ...target, protocol: 'http' } });
  const kept = new Set<string>();
  late.subscribe(work.queue, (frame) => kept.add(toHex(frame)));
  await until(() => work.missing(kept) === 0, 30_000);
  const last: Uint8Array[] = [];
  await late.watch({ id: work.id }, (record) => last.push(record)).answered;
  expect(work.records.length).toBeGreaterThan(KILLS);
  expect(last).toEqual([work.records.at(-1)]);
  console.log(`${work.frames.length} frames, ${work.records.length} records acknowledged over ${KILLS} kills`);
  await Promise.all([writer, ...readers, late].map((namespace) => namespace.close()));
}, 180_000);

it('a rendezvous and a conversation go on over a kill', async () => {
  await using service = await ServiceProcess.start();
  const target = { host: '127.0.0.1', port: service.port };
  const one = openHttpNamespace({ ...surroundings, target: { ...target, protocol: 'http' } });
  const two = openWsNamespace({ ...surroundings, target: { ...target, protocol: 'ws' } });
  const tag = newTag();
  const publication = await publishOn(tag, one);
  await service.kill();
  await service.start();
  const first = firstOf(publication);
  const theirs = await respondOn(tag, two, 60_000);
  const ours = await first;
  await expectTalk(ours, theirs);
  await service.kill();
  const waiting = ours.send(bytes(40_000));
  await service.start();
  await waiting;
  await theirs.close();
  await publication.close();
  await Promise.all([one.close(), two.close()]);
});
