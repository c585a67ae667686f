/** Two `rdv serve` on one database; the processes and the database are killed in turn. */
import { openHttpNamespace } from '@rdv/gateway/namespaces/http';
import { openWsNamespace } from '@rdv/gateway/namespaces/ws';
import { toHex } from '@rdv/protocol/core/bytes';
import { expect, it } from 'vitest';
import { AcknowledgedWriter } from '../../support/acknowledged.js';
import { surroundings, until } from '../../support/mqtt-rig.js';
import { ServiceProcess } from '../../support/service-process.js';
import { PostgresServer } from './server.js';

it('nothing acknowledged is lost, and readers at the other process miss nothing', async () => {
  const server = await PostgresServer.start();
  const { url } = server.database();
  await using one = await ServiceProcess.start('--database', url);
  await using two = await ServiceProcess.start('--database', url);
  const at = (port: number) => ({ ...surroundings, target: { protocol: 'http', host: '127.0.0.1', port } as const });
  const wsAt = (port: number) => ({ ...surroundings, target: { protocol: 'ws', host: '127.0.0.1', port } as const });
  const writer = openHttpNamespace(at(one.port));
  const readers = [openHttpNamespace(at(two.port)), openWsNamespace(wsAt(two.port)), openWsNamespace(wsAt(one.port))];
  await Promise.all([writer, ...readers].map(({ firstAttempt }) => firstAttempt));
  const work = new AcknowledgedWriter(writer);
  const heard = readers.map(() => new Set<string>());
  for (const [i, reader] of readers.entries())
    await reader.subscribe(work.queue, (frame) => heard[i]!.add(toHex(frame))).ready;
  const begun = work.frames.length;
  for (const victim of [one, server, two, server, one, two]) {
    const before = work.frames.length;
    await until(() => work.frames.length > before + 30, 60_000);
    await victim.kill();
    await victim.start();
  }
  const before = work.frames.length;
  await until(() => work.frames.length > before + 30, 60_000);
  await work.stop();
  const theirs = (there: Set<string>) => work.frames.slice(begun + 3).every((frame) => there.has(frame));
  await until(() => heard.every(theirs), 60_000);
  const late = openHttpNamespace({ ...at(two.port), fromKept: true });
  const kept = new Set<string>();
  late.subscribe(work.queue, (frame) => kept.add(toHex(frame)));
  await until(() => work.missing(kept) === 0, 30_000);
  const last: Uint8Array[] = [];
  await late.watch({ id: work.id }, (record) => last.push(record)).answered;
  expect(last).toEqual([work.records.at(-1)]);
  console.log(`${work.frames.length} frames, ${work.records.length} records acknowledged over six kills`);
  await Promise.all([writer, ...readers, late].map((namespace) => namespace.close()));
  await server.close();
}, 180_000);
