/** SIGKILL at any moment, and a new start: nothing that was acknowledged is lost, nobody has to be told. */
import { openHttpNamespace } from '@rdv/gateway/namespaces/http';
import { openWsNamespace } from '@rdv/gateway/namespaces/ws';
import { toHex } from '@rdv/protocol/core/bytes';
import { RdvError } from '@rdv/protocol/core/errors';
import { expect, it } from 'vitest';
import { bytes, testOwner, testRecord } from '../../contract/records.js';
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
  const queue = bytes(16);
  const heard = readers.map(() => new Set<string>());
  for (const [i, reader] of readers.entries())
    await reader.subscribe(queue, (frame) => heard[i]!.add(toHex(frame))).ready;
  const sent: string[] = [];
  const records: Uint8Array[] = [];
  const id = bytes(32);
  let writing = true;
  const write = async (): Promise<void> => {
    while (writing) {
      const frame = bytes(64);
      try {
        await writer.send(queue, frame);
        sent.push(toHex(frame));
      } catch (error) {
        expect(error).toBeInstanceOf(RdvError);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
  };
  const owner = testOwner();
  const put = async (): Promise<void> => {
    for (let seq = 1; writing; seq++) {
      const record = testRecord({ id, owner, seq, notAfter: Math.floor(Date.now() / 1000) + 3600 });
      await writer.put(record).then(
        () => records.push(record),
        () => {},
      );
    }
  };
  const work = [write(), write(), write(), put()];
  for (let kill = 0; kill < KILLS; kill++) {
    const before = sent.length;
    await until(() => sent.length > before + 20 * (kill + 1));
    await service.kill();
    await service.start();
  }
  const before = sent.length;
  await until(() => sent.length > before + 20, 60_000);
  writing = false;
  await Promise.all(work);
  const missing = (there: Set<string>) => sent.filter((frame) => !there.has(frame)).length;
  await until(() => heard.every((one) => missing(one) === 0), 30_000);
  // Somebody who comes now finds all of it, too.
  const late = openHttpNamespace({ ...surroundings, fromKept: true, target: { ...target, protocol: 'http' } });
  const kept = new Set<string>();
  late.subscribe(queue, (frame) => kept.add(toHex(frame)));
  await until(() => missing(kept) === 0, 30_000);
  const last: Uint8Array[] = [];
  await late.watch({ id }, (record) => last.push(record)).answered;
  expect(records.length).toBeGreaterThan(KILLS);
  expect(last).toEqual([records.at(-1)]);
  console.log(`${sent.length} frames and ${records.length} records acknowledged over ${KILLS} kills`);
  await Promise.all([writer, ...readers, late].map((namespace) => namespace.close()));
});

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
