import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Air } from '@rdv/hardware/air/air';
import { advertisingReport } from '@rdv/hardware/air/events';
import { type AirServer, listenAir } from '@rdv/hardware/air/server';
import { H4Splitter } from '@rdv/hardware/hci/h4';
import { toHex } from '@rdv/protocol/core/bytes';
import { RdvError } from '@rdv/protocol/core/errors';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { A, B } from './fixture.js';

const READ_BD_ADDR = Uint8Array.of(1, 9, 0x10, 0);

let folder: string;
let air: Air;
const servers: AirServer[] = [];
const sockets: Socket[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rdv-air-'));
  air = new Air();
});

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await Promise.all(servers.splice(0).map((server) => server.close()));
  air.close();
  rmSync(folder, { recursive: true, force: true });
});

async function listen(options: Parameters<typeof listenAir>[1]): Promise<AirServer> {
  const server = await listenAir(air, options);
  servers.push(server);
  return server;
}

/** A client on `where`: what it writes, and the next packet it gets. */
function client(where: string | number): { socket: Socket; next(): Promise<string>; closed: Promise<unknown> } {
  const socket = typeof where === 'number' ? connect(where, '127.0.0.1') : connect(where);
  sockets.push(socket);
  const waiting: ((packet: string) => void)[] = [];
  const got: string[] = [];
  const splitter = new H4Splitter((packet) => {
    const take = waiting.shift();
    if (take) take(toHex(packet));
    else got.push(toHex(packet));
  });
  socket.on('data', (chunk) => splitter.push(chunk));
  socket.on('error', () => {});
  return {
    socket,
    next: () => {
      const ready = got.shift();
      return ready === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(ready);
    },
    closed: new Promise((resolve) => socket.on('close', resolve)),
  };
}

async function addressOf(c: ReturnType<typeof client>): Promise<string> {
  c.socket.write(READ_BD_ADDR);
  return (await c.next()).slice(-12).match(/../g)!.reverse().join(':');
}

describe('an air over sockets', () => {
  it('gives each client of a unix socket a controller of its own, on one air', async () => {
    const path = join(folder, 'air.sock');
    const server = await listen({ path });
    expect(server.address).toBe(path);
    const one = client(path);
    expect(await addressOf(one)).toBe(A);
    const two = client(path);
    expect(await addressOf(two)).toBe(B);
    expect(server.controllers.map((c) => c.address)).toEqual([A, B]);

    // In pieces, and several at once.
    one.socket.write(READ_BD_ADDR.subarray(0, 2));
    await new Promise((resolve) => setImmediate(resolve));
    one.socket.write(Buffer.concat([READ_BD_ADDR.subarray(2), READ_BD_ADDR]));
    expect(await one.next()).toBe(await one.next());

    one.socket.destroy();
    await one.closed;
    while (server.controllers.length > 1) await new Promise((resolve) => setImmediate(resolve));
    expect([...air.controllers].map((c) => c.address)).toEqual([B]);
  });

  it('may be one adapter: one client at a time, the same address for the next', async () => {
    const path = join(folder, 'hci0.sock');
    const server = await listen({ path, controller: { address: '00:aa:02:00:00:77', aclPackets: 3 } });
    const one = client(path);
    expect(await addressOf(one)).toBe('00:aa:02:00:00:77');
    expect(server.controllers[0]!.aclPackets).toBe(3);
    const second = client(path);
    await second.closed;
    one.socket.destroy();
    while (server.controllers.length > 0) await new Promise((resolve) => setImmediate(resolve));
    expect(await addressOf(client(path))).toBe('00:aa:02:00:00:77');
  });

  it('listens on TCP, on this machine alone', async () => {
    const server = await listen({ port: 0 });
    const [host, port] = server.address.split(':');
    expect(host).toBe('127.0.0.1');
    expect(await addressOf(client(Number(port)))).toBe(A);
    await expect(listenAir(air, { port: Number(port) })).rejects.toMatchObject({ code: 'busy' });
  });

  it('carries an air between two clients: one hears the other', async () => {
    const path = join(folder, 'air.sock');
    await listen({ path });
    const [one, two] = [client(path), client(path)];
    await addressOf(one);
    two.socket.write(Uint8Array.of(1, 1, 0x0c, 8, 255, 255, 255, 255, 255, 255, 255, 0x3f));
    await two.next();
    two.socket.write(Uint8Array.of(1, 0x0c, 0x20, 2, 1, 0));
    await two.next();
    one.socket.write(Uint8Array.of(1, 0x0a, 0x20, 1, 1));
    expect(await two.next()).toBe('043e0c020100000100000 2aa0000ce'.replace(' ', ''));
  });

  it('pulls the controller of a client that does not speak H4', async () => {
    const path = join(folder, 'air.sock');
    const server = await listen({ path });
    const stranger = client(path);
    stranger.socket.write('GET / HTTP/1.1\r\n\r\n');
    await stranger.closed;
    expect(server.controllers).toEqual([]);
    expect(await addressOf(client(path))).toMatch(/^00:aa:02/);
  });

  it('cuts off a client that asks on and on and never reads', async () => {
    const path = join(folder, 'air.sock');
    const server = await listen({ path });
    const one = client(path);
    await addressOf(one);
    const [controller] = server.controllers;
    one.socket.pause();
    const questions = Buffer.concat(Array.from({ length: 4096 }, () => READ_BD_ADDR));
    let asked = 0;
    while (!controller!.closed && asked < 10_000_000) {
      await new Promise((resolve) => one.socket.write(questions, resolve));
      asked += 4096;
    }
    expect(controller!.closed).toBe(true);
    expect(await addressOf(client(path))).toMatch(/^00:aa:02/);
  });

  it('drops reports for a client that does not read them, and keeps it', async () => {
    const path = join(folder, 'air.sock');
    const server = await listen({ path });
    const one = client(path);
    await addressOf(one);
    one.socket.pause();
    const [controller] = server.controllers;
    const report = advertisingReport(0, 1, new Uint8Array(31), -50);
    controller!.masks.setEvents(new Uint8Array(8).fill(0xff));
    for (let i = 0; i < 50_000; i++) controller!.emit(report);
    expect(controller!.closed).toBe(false);
    one.socket.resume();
    let last = '';
    while (!last.startsWith('040e')) {
      if (last === '') one.socket.write(READ_BD_ADDR);
      last = await one.next();
    }
    expect(last).toContain('0910');
  });

  it('closes with its clients, once or twice, and leaves no socket file', async () => {
    const path = join(folder, 'air.sock');
    const server = await listen({ path });
    const one = client(path);
    await addressOf(one);
    await Promise.all([server.close(), server.close()]);
    await one.closed;
    expect(existsSync(path)).toBe(false);
    expect(air.controllers.size).toBe(0);
    const again = await listen({ path });
    expect(again.address).toBe(path);
  });

  it('tells the client when its controller vanishes', async () => {
    const path = join(folder, 'air.sock');
    const server = await listen({ path });
    const one = client(path);
    await addressOf(one);
    server.controllers[0]!.vanish();
    await one.closed;
    expect(server.controllers).toEqual([]);
  });

  it('does not take a living listener’s path, but a dead one’s', async () => {
    const path = join(folder, 'air.sock');
    await listen({ path });
    await expect(listenAir(air, { path })).rejects.toMatchObject({ code: 'busy' });
    const { spawnSync } = await import('node:child_process');
    const dead = join(folder, 'dead.sock');
    const script = `require('net').createServer().listen(${JSON.stringify(dead)}, () => process.kill(process.pid, 9))`;
    spawnSync(process.execPath, ['-e', script]);
    expect(existsSync(dead)).toBe(true);
    expect((await listen({ path: dead })).address).toBe(dead);
  });

  it('says what is wrong with where it should listen', async () => {
    await expect(listenAir(air, {})).rejects.toThrow('"path" or "port"');
    await expect(listenAir(air, { path: '/x', port: 1 })).rejects.toThrow('not both');
    await expect(listenAir(air, { path: join(folder, 'no', 'such', 'folder') })).rejects.toBeInstanceOf(RdvError);
    await expect(listenAir(air, { port: 70_000 })).rejects.toBeInstanceOf(RdvError);
  });
});
