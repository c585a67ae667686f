/** Exactly what is asked of SQLite, asked of PostgreSQL; then of two processes on one database. */
import { type HttpService, openHttpService } from '@rdv/gateway/server/http-service';
import { openPostgresService } from '@rdv/gateway/server/store/postgres-service';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { namespaceContract } from '../../contract/namespace.js';
import { bytes } from '../../contract/records.js';
import { serviceDatabaseContract } from '../../contract/service-database.js';
import { serviceEndContract } from '../../contract/service-end.js';
import { openUpHttp, openUpWs } from '../../support/http-rig.js';
import { expectTalk, firstOf, newTag, publishOn, respondOn } from '../../support/mqtt-rendezvous.js';
import { proxiedRig, surroundings, until } from '../../support/mqtt-rig.js';
import { type NewDatabase, PostgresServer } from './server.js';

let server: PostgresServer;
let shared: NewDatabase;
let services: [HttpService, HttpService];
beforeAll(async () => {
  server = await PostgresServer.start();
  shared = server.database();
  // Both at once: one of them makes the tables.
  services = (await Promise.all([open(shared.url), open(shared.url)])) as typeof services;
});
afterAll(async () => {
  await Promise.all(services.map((service) => service.close()));
  await server.close();
});

async function open(url: string): Promise<HttpService> {
  return openHttpService({ ...surroundings, database: await openPostgresService({ ...surroundings, url }) });
}

serviceDatabaseContract('PostgreSQL', async () => {
  const { url } = server.database();
  const database = await openPostgresService({ ...surroundings, url });
  return { database, close: () => database.close() };
});

serviceEndContract('PostgreSQL', async () => services);

describe.each([
  ['HTTP', openUpHttp],
  ['WebSocket', openUpWs],
] as const)('two processes, %s', (name, openUp) => {
  namespaceContract(`PostgreSQL, ${name}`, () => {
    const [one, two] = services;
    return proxiedRig([one.port, two.port, one.port], openUp, async () => {});
  });

  it('carries a rendezvous and a conversation from one process to the other', async () => {
    const [one, two] = await Promise.all(services.map(({ port }) => openUp(port)));
    const tag = newTag();
    const publication = await publishOn(tag, one!);
    const first = firstOf(publication);
    const theirs = await respondOn(tag, two!);
    await expectTalk(await first, theirs);
    await theirs.close();
    await publication.close();
    await Promise.all([one!.close(), two!.close()]);
  });
});

it('asks the database nothing while nothing happens', async () => {
  const namespaces = await Promise.all(services.map(({ port }) => openUpHttp(port)));
  for (const namespace of namespaces) {
    await namespace.subscribe(bytes(16), () => {}).ready;
    await namespace.watch({ id: bytes(32) }, () => {}).answered;
  }
  // When each connection of the two was asked something last; what the server's statistics count, they count late.
  const asked = (): string =>
    server.query(`SELECT string_agg(pid || ' ' || query_start, ',' ORDER BY pid) FROM pg_stat_activity
      WHERE datname = '${shared.name}' AND application_name = 'rdv serve'`);
  expect(asked().split(',')).toHaveLength(4);
  let last = asked();
  let changes = 0;
  for (let i = 0; i < 10; i++) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    const now = asked();
    if (now !== last) changes++;
    last = now;
  }
  // Each sweeps once a minute, which is no polling.
  expect(changes).toBeLessThanOrEqual(2);
  await Promise.all(namespaces.map((namespace) => namespace.close()));
});

it('many frames from both processes at once come to readers at both, each queue in order', async () => {
  const namespaces = await Promise.all([0, 1, 0, 1].map((i) => openUpHttp(services[i as 0 | 1].port)));
  const [a, b, c, d] = namespaces as [(typeof namespaces)[0], ...typeof namespaces];
  const queue = bytes(16);
  const heard = [c, d].map(() => [] as string[]);
  for (const [i, reader] of [c, d].entries())
    await reader!.subscribe(queue, (frame) => heard[i]!.push(Buffer.from(frame).toString())).ready;
  const send = async (from: typeof a, name: string): Promise<void> => {
    for (let i = 0; i < 300; i += 50) {
      const some = Array.from({ length: 50 }, (_, j) => from.send(queue, Buffer.from(`${name}${i + j}`)));
      await Promise.all(some);
    }
  };
  await Promise.all([send(a, 'a'), send(b!, 'b')]);
  await until(() => heard.every((one) => one.length >= 600));
  // The numbers are one order for everybody.
  expect(heard[0]).toEqual(heard[1]);
  for (const name of ['a', 'b']) {
    const mine = heard[0]!.filter((frame) => frame.startsWith(name)).map((frame) => Number(frame.slice(1)));
    expect(mine).toEqual(Array.from({ length: 300 }, (_, i) => i));
  }
  await Promise.all(namespaces.map((namespace) => namespace.close()));
});
