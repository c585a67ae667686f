/** How much one service process carries, and that its memory does not grow with what others fail to read. */
import { connect, type Socket } from 'node:net';
import { openHttpNamespace } from '@rdv/gateway/namespaces/http';
import { openWsNamespace } from '@rdv/gateway/namespaces/ws';
import type { Conversation } from '@rdv/protocol/conversation/api';
import { toBase64Url } from '@rdv/protocol/core/bytes';
import type { Publication } from '@rdv/protocol/rendezvous/publish';
import { expect, it } from 'vitest';
import { bytes } from '../../contract/records.js';
import { newTag, publishOn, respondOn } from '../../support/mqtt-rendezvous.js';
import { surroundings, until } from '../../support/mqtt-rig.js';
import { ServiceProcess } from '../../support/service-process.js';

const PUBLICATIONS = 10_000;
const CONVERSATIONS = 2000;
const MEMORY_MIB = 400;
const breath = () => new Promise((resolve) => setImmediate(resolve));

async function echo(publication: Publication): Promise<void> {
  for await (const conversation of publication) {
    void (async () => {
      for await (const message of conversation) await conversation.send(message);
    })().catch(() => {});
  }
}

async function roundTrips(conversations: readonly Conversation[]): Promise<void> {
  await Promise.all(
    conversations.map(async (conversation) => {
      const message = bytes(200);
      await conversation.send(message);
      expect((await conversation[Symbol.asyncIterator]().next()).value).toEqual(message);
    }),
  );
}

it(`${PUBLICATIONS} publications and ${CONVERSATIONS} open conversations, also over a kill`, async () => {
  await using service = await ServiceProcess.start();
  const target = { host: '127.0.0.1', port: service.port };
  const ws = { ...surroundings, target: { ...target, protocol: 'ws' } } as const;
  const http = { ...surroundings, target: { ...target, protocol: 'http' } } as const;
  const publishers = [openWsNamespace(ws), openHttpNamespace(http)];
  const responders = [openHttpNamespace(http), openWsNamespace(ws)];
  const tags = Array.from({ length: PUBLICATIONS }, newTag);
  const began = performance.now();
  const publications: Publication[] = [];
  for (const [i, tag] of tags.entries()) {
    publications.push(await publishOn(tag, publishers[i % 2]!));
    if (i % 20 === 0) await breath();
  }
  for (const publication of publications) void echo(publication);
  const published = performance.now();
  const conversations: Conversation[] = [];
  while (conversations.length < CONVERSATIONS) {
    const from = conversations.length;
    const some = tags.slice(from, from + 50);
    conversations.push(
      ...(await Promise.all(some.map((tag, i) => respondOn(tag, responders[(i >> 1) % 2]!, 120_000)))),
    );
  }
  const open = performance.now();
  await roundTrips(conversations);
  const talked = performance.now();
  const before = service.memoryMiB;
  expect(before).toBeLessThan(MEMORY_MIB);
  await service.kill();
  await service.start();
  await roundTrips(conversations);
  await roundTrips([await respondOn(tags.at(-1)!, responders[0]!, 120_000)]);
  const again = performance.now();
  expect(service.memoryMiB).toBeLessThan(MEMORY_MIB);
  const seconds = (from: number, to: number): string => `${((to - from) / 1000).toFixed(1)} s`;
  console.log(
    `published in ${seconds(began, published)}, conversations in ${seconds(published, open)}, ` +
      `round trips in ${seconds(open, talked)}, after the kill in ${seconds(talked, again)}; ` +
      `${before.toFixed(0)} MiB, then ${service.memoryMiB.toFixed(0)} MiB`,
  );
  await Promise.all([...publishers, ...responders].map((namespace) => namespace.close()));
}, 600_000);

it('readers that do not read cost no memory, and hold up nobody', async () => {
  await using service = await ServiceProcess.start();
  const target = { host: '127.0.0.1', port: service.port };
  const writer = openHttpNamespace({ ...surroundings, target: { ...target, protocol: 'http' } });
  const reader = openWsNamespace({ ...surroundings, target: { ...target, protocol: 'ws' } });
  await Promise.all([writer.firstAttempt, reader.firstAttempt]);
  const queue = bytes(16);
  let heard = 0;
  await reader.subscribe(queue, () => heard++).ready;
  const stalled: Socket[] = [];
  for (let i = 0; i < 200; i++) {
    const socket = connect(service.port, '127.0.0.1');
    socket.pause();
    socket.on('error', () => {});
    socket.write(`GET /1/events?queue=${toBase64Url(queue)} HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n\r\n`);
    stalled.push(socket);
  }
  await until(() => stalled.every((socket) => socket.bytesWritten > 0));
  const before = service.memoryMiB;
  const FRAMES = 1500;
  let peak = 0;
  for (let sent = 0; sent < FRAMES; sent += 50) {
    await Promise.all(Array.from({ length: 50 }, () => writer.send(queue, bytes(16_384))));
    peak = Math.max(peak, service.memoryMiB);
  }
  await until(() => heard === FRAMES, 60_000);
  // Kept for each of them it would be 4.7 GiB.
  console.log(`${before.toFixed(0)} MiB before, at most ${peak.toFixed(0)} MiB`);
  expect(peak - before).toBeLessThan(500);
  for (const socket of stalled) socket.destroy();
  await Promise.all([writer.close(), reader.close()]);
}, 180_000);
