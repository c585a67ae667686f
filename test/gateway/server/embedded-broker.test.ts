/** The embedded broker: bounds, the witness, and what it says when the port is taken. */
import { connect, createServer } from 'node:net';
import { type BrokerSight, openEmbeddedBroker } from '@rdv/gateway/server/embedded-broker';
import { connectAsync } from 'mqtt';
import { expect, it, vi } from 'vitest';

const plain = (port: number) => connectAsync(`mqtt://127.0.0.1:${port}`, { reconnectPeriod: 0, clientId: 'someone' });

it('says which port is busy', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await expect(openEmbeddedBroker({ port })).rejects.toMatchObject({
    code: 'config',
    message: `embedded broker: port ${port} is busy on 127.0.0.1: choose another one, or stop what listens there`,
  });
  server.close();
});

it('shows a witness everything that it sees', async () => {
  const sights: BrokerSight[] = [];
  await using broker = await openEmbeddedBroker({ witness: (sight) => sights.push(sight) });
  const client = await plain(broker.port);
  await client.subscribeAsync('a/b');
  await client.publishAsync('c/d', 'x', { qos: 1, retain: true });
  await client.unsubscribeAsync('a/b');
  await client.endAsync();
  await vi.waitFor(() => expect(sights.at(-1)?.kind).toBe('disconnect'), { timeout: 30_000 });
  expect(sights).toEqual([
    { kind: 'connect', client: 'someone' },
    { kind: 'subscribe', client: 'someone', topic: 'a/b' },
    { kind: 'publish', client: 'someone', topic: 'c/d', payload: new Uint8Array([120]), retain: true },
    { kind: 'unsubscribe', client: 'someone', topic: 'a/b' },
    { kind: 'disconnect', client: 'someone' },
  ]);
});

it('cuts off who sends longer packets than allowed, before they have come', async () => {
  await using broker = await openEmbeddedBroker({ maxPacketBytes: 1000 });
  const honest = await plain(broker.port);
  await honest.publishAsync('t', Buffer.alloc(900), { qos: 1 });
  const socket = connect(broker.port, '127.0.0.1');
  const cut = new Promise((resolve) => socket.once('close', resolve));
  socket.on('error', () => {});
  socket.write(Uint8Array.from([0x10, 0xff, 0xff, 0xff, 0x7f]));
  await cut;
  await honest.publishAsync('t', Buffer.alloc(900), { qos: 1 });
  await honest.endAsync();
});

it('keeps no more retained messages than allowed', async () => {
  await using broker = await openEmbeddedBroker({ maxRetained: 2 });
  const client = await plain(broker.port);
  for (const topic of ['a', 'b', 'a']) await client.publishAsync(topic, 'x', { qos: 1, retain: true });
  await client.publishAsync('b', '', { qos: 1, retain: true });
  await client.publishAsync('c', 'x', { qos: 1, retain: true });
  const cut = new Promise((resolve) => client.once('close', () => resolve('cut')));
  client.publish('d', 'x', { qos: 1, retain: true });
  expect(await cut).toBe('cut');
  await client.endAsync(true);
});

it('takes no more clients than allowed, and frees its port when closed', async () => {
  const broker = await openEmbeddedBroker({ maxClients: 1 });
  const first = await plain(broker.port);
  const second = connect(broker.port, '127.0.0.1');
  second.on('error', () => {});
  await new Promise((resolve) => second.once('close', resolve));
  expect(broker.clients).toBe(1);
  const { port } = broker;
  await broker.close();
  await broker.close();
  await first.endAsync(true);
  await using again = await openEmbeddedBroker({ port });
  expect(again.port).toBe(port);
});
