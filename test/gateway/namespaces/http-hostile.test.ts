/** A service that lies, floods and never ends: the client stays bounded, says what is wrong, and takes nothing else down. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTcpServer, type Socket } from 'node:net';
import { EventStreamParser } from '@rdv/gateway/namespaces/event-stream';
import { openHttpNamespace } from '@rdv/gateway/namespaces/http';
import type { HttpNamespace } from '@rdv/gateway/namespaces/http-namespace';
import { openWsNamespace } from '@rdv/gateway/namespaces/ws';
import { systemClock } from '@rdv/hardware/host/system';
import { toBase64Url } from '@rdv/protocol/core/bytes';
import type { Clock } from '@rdv/protocol/core/ports';
import { VirtualClock } from '@rdv/protocol/core/virtual-clock';
import { afterEach, describe, expect, it } from 'vitest';
import { bytes, testOwner, testRecord } from '../../contract/records.js';
import { surroundings, until } from '../../support/mqtt-rig.js';

const GIB = 1024 ** 3;
const about = JSON.stringify({ service: 'rdv', version: 1, maxFrames: 1e9, maxFramesBytes: 1e12, maxItems: 1e9 });
const record = () =>
  testRecord({ id: bytes(32), owner: testOwner(), seq: 1, notAfter: Math.floor(Date.now() / 1000) + 60 });

type Handler = (request: IncomingMessage, response: ServerResponse) => void;
const open: { close(): void }[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

/** Answers `GET /1` as it should, and everything else as `handler` does. */
async function liar(handler: Handler, all = false): Promise<number> {
  const server: Server = createServer((request, response) => {
    request.resume();
    if (!all && request.url === '/1') response.end(about);
    else handler(request, response);
  });
  server.on('clientError', () => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  open.push({
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  });
  return (server.address() as { port: number }).port;
}

function client(port: number, clock: Clock = surroundings.clock): HttpNamespace {
  const namespace = openHttpNamespace({
    ...surroundings,
    clock,
    target: { protocol: 'http', host: '127.0.0.1', port },
  });
  open.push({ close: () => void namespace.close() });
  return namespace;
}

/** Writes as long as it is read. @returns how much that was, so far */
function endless(response: ServerResponse | Socket, chunk: Uint8Array | string): { bytes: number; over: boolean } {
  const sent = { bytes: 0, over: false };
  response.on('close', () => {
    sent.over = true;
  });
  response.on('error', () => {});
  const write = (): void => {
    while (!sent.over && response.write(chunk)) sent.bytes += chunk.length;
    sent.bytes += chunk.length;
    if (!sent.over) response.once('drain', () => setImmediate(write));
  };
  write();
  return sent;
}

describe('an answer of 10 GiB', () => {
  it.each([
    ['that says so', 10 * GIB],
    ['that does not', undefined],
  ])('%s is cut off: to "what are you"', async (_name, length) => {
    let sent = { bytes: 0, over: false };
    const port = await liar((_request, response) => {
      if (length !== undefined) response.setHeader('content-length', length);
      sent = endless(response, ' '.repeat(64 * 1024));
    }, true);
    const namespace = client(port);
    await expect(namespace.firstAttempt).rejects.toMatchObject({ code: 'too-large' });
    await until(() => sent.over);
    expect(sent.bytes).toBeLessThan(16 * 1024 ** 2);
  });

  it.each([200, 500])('is cut off: to PUT and to frames, with status %i', async (status) => {
    const sent: { bytes: number; over: boolean }[] = [];
    const port = await liar((_request, response) => {
      response.statusCode = status;
      sent.push(endless(response, '{'.repeat(64 * 1024)));
    });
    const namespace = client(port);
    await namespace.firstAttempt;
    await expect(namespace.send(bytes(16), bytes(10))).rejects.toMatchObject({
      code: expect.stringMatching(/too-large|internal/),
    });
    if (status === 200) await namespace.put(record());
    else await expect(namespace.put(record())).rejects.toMatchObject({ code: 'internal' });
    await until(() => sent.length === 2 && sent.every(({ over }) => over));
    for (const one of sent) expect(one.bytes).toBeLessThan(16 * 1024 ** 2);
  });

  it('is cut off: as one event, and as a head', async () => {
    const sent: { bytes: number; over: boolean }[] = [];
    const port = await liar((_request, response) => {
      response.setHeader('content-type', 'text/event-stream');
      sent.push(endless(response, 'data: x'.padEnd(64 * 1024, 'x')));
    });
    const namespace = client(port);
    namespace.subscribe(bytes(16), () => {}).ready.catch(() => {});
    await until(() => sent.length > 0 && sent[0]!.over);
    expect(sent[0]!.bytes).toBeLessThan(16 * 1024 ** 2);
    let head = { bytes: 0, over: false };
    const tcp = createTcpServer((socket) => {
      socket.write('HTTP/1.1 200 OK\r\n');
      head = endless(socket, 'x-more: and more\r\n'.repeat(1000));
    });
    await new Promise<void>((resolve) => tcp.listen(0, '127.0.0.1', resolve));
    open.push({ close: () => void tcp.close() });
    await expect(client((tcp.address() as { port: number }).port).firstAttempt).rejects.toThrow(
      'a head longer than any',
    );
    await until(() => head.over);
  });
});

describe('a stream', () => {
  const events = async (
    write: (response: ServerResponse, asked: { queues: { queue: string }[]; ids: { id: string }[] }) => void,
    clock: Clock = surroundings.clock,
  ) => {
    let streams = 0;
    const port = await liar((request, response) => {
      streams++;
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        response.setHeader('content-type', 'text/event-stream');
        response.write('event: ready\ndata: {"position":5}\n\n');
        write(response, JSON.parse(Buffer.concat(parts).toString()));
      });
    });
    return { namespace: client(port, clock), streams: () => streams };
  };
  const event = (type: string, data: object): string => `event: ${type}\ndata: ${JSON.stringify(data)}\n\n`;

  it('that floods is read at a pace, whatever it brings', async () => {
    let sent = { bytes: 0, over: false };
    const clock = new VirtualClock();
    const { namespace } = await events((response, { queues }) => {
      const frame = toBase64Url(bytes(16_384));
      let n = 6;
      const batch = (): string =>
        Array.from({ length: 16 }, () => event('frame', { queue: queues[0]!.queue, n: n++, frame })).join('');
      sent = endless(response, batch());
    }, clock);
    let heard = 0;
    await namespace.subscribe(bytes(16), () => heard++).ready;
    // Time stands still here: once what may come at once has come, nothing more is read.
    await until(() => sent.bytes > 15 * 1024 ** 2);
    let before = -1;
    while (sent.bytes > before) {
      before = sent.bytes;
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    expect(sent.bytes).toBeLessThan(32 * 1024 ** 2);
    // Numbers that were heard before are dropped: this flood repeats its first batch.
    expect(heard).toBeLessThanOrEqual(16);
  });

  it('that brings what was not asked for, or what is nothing, is not listened to, or ended', async () => {
    const other = toBase64Url(bytes(16));
    const { namespace, streams } = await events((response, { queues }) => {
      const { queue } = queues[0]!;
      const frame = toBase64Url(bytes(3));
      response.write(event('frame', { queue: other, n: 6, frame }));
      response.write(event('frame', { queue, n: 5, frame }));
      response.write(event('news', { anything: 1 }));
      response.write(event('record', { id: toBase64Url(bytes(32)), record: frame }));
      response.write(event('frame', { queue, n: 7, frame: toBase64Url(bytes(16_385)) }));
    });
    const heard: Uint8Array[] = [];
    await namespace.subscribe(bytes(16), (frame) => heard.push(frame)).ready;
    await until(() => streams() > 1);
    expect(heard).toEqual([]);
  });

  it('that ends at once is opened ever more rarely', async () => {
    const waits: number[] = [];
    // Only what is waited for between two streams goes by faster; the others are deadlines, of 10 s and more.
    const clock: Clock = {
      ...systemClock,
      schedule: (ms, run) => systemClock.schedule(ms < 10_000 ? waits.push(ms) && ms / 50 : ms, run),
    };
    const { namespace, streams } = await events((response) => response.end(), clock);
    namespace.subscribe(bytes(16), () => {}).ready.catch(() => {});
    await until(() => streams() >= 6);
    expect(waits.slice(0, 4)).toEqual([250, 500, 1000, 2000]);
    expect(namespace.state).toBe('up');
  });

  it('of endless records of one id is listened to for a while', async () => {
    const one = toBase64Url(record());
    const { namespace } = await events((response, { ids }) => {
      response.write(event('record', { id: ids[0]!.id, record: one }).repeat(2000));
      response.write(event('answered', { id: ids[0]!.id, tag: 'x' }));
    });
    let heard = 0;
    await namespace.watch({ id: bytes(32) }, () => heard++).answered;
    expect(heard).toBeGreaterThan(200);
    expect(heard).toBeLessThan(300);
  });
});

describe('a service', () => {
  it('is not followed elsewhere, and is not another kind of server', async () => {
    let elsewhere = 0;
    const other = await liar(() => elsewhere++, true);
    const port = await liar((_request, response) => {
      response.writeHead(307, { location: `http://127.0.0.1:${other}/1` });
      response.end();
    }, true);
    await expect(client(port).firstAttempt).rejects.toMatchObject({ code: 'refused' });
    expect(elsewhere).toBe(0);
    const web = await liar((_request, response) => response.end('<html>welcome</html>'), true);
    await expect(client(web).firstAttempt).rejects.toThrow('no namespace service: check the URL');
  });

  it('that answers with a sentence has it shortened, of printable characters', async () => {
    const port = await liar((_request, response) => {
      response.writeHead(422, { 'content-type': 'application/problem+json' });
      response.end(
        JSON.stringify({ detail: `\u001b[31m${'x'.repeat(9000)}`, code: 'constructor', retryAfterMs: 1e99 }),
      );
    });
    const namespace = client(port);
    await namespace.firstAttempt;
    const error = await namespace.put(record()).catch((thrown: unknown) => thrown);
    expect((error as Error).message.length).toBeLessThan(300);
    expect((error as Error).message).not.toContain('\u001b');
    expect(error).toMatchObject({ code: 'refused', retryAfterMs: 3_600_000 });
  });

  it('over WebSocket may send no message longer than any, and no endless handshake', async () => {
    const { createHash } = await import('node:crypto');
    let sent = { bytes: 0, over: false };
    const tcp = createTcpServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', (data) => {
        const [, key = ''] = /sec-websocket-key: (\S+)/i.exec(String(data)) ?? [];
        const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
        socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n');
        socket.write(`sec-websocket-accept: ${accept}\r\n\r\n`);
        // One binary message of 10 GiB.
        socket.write(Buffer.from([0x82, 127, 0, 0, 0, 2, 0x80, 0, 0, 0]));
        sent = endless(socket, bytes(64 * 1024));
      });
    });
    await new Promise<void>((resolve) => tcp.listen(0, '127.0.0.1', resolve));
    open.push({ close: () => void tcp.close() });
    const { port } = tcp.address() as { port: number };
    const namespace = openWsNamespace({ ...surroundings, target: { protocol: 'ws', host: '127.0.0.1', port } });
    await expect(namespace.firstAttempt).rejects.toMatchObject({ code: 'closed' });
    await until(() => sent.over);
    expect(sent.bytes).toBeLessThan(16 * 1024 ** 2);
    await namespace.close();
  });
});

it('events are read as the standard says, however they are cut', () => {
  const text = ': hi\r\nevent: a\r\ndata: 1\r\ndata:2\r\n\r\ndata\n\nid: 7\n\nevent: b\rdata: 3\r\r';
  const whole = [...new EventStreamParser().feed(Buffer.from(text))];
  expect(whole).toEqual([
    { type: 'a', data: '1\n2' },
    { type: 'message', data: '' },
    { type: 'b', data: '3' },
  ]);
  const parser = new EventStreamParser();
  expect([...text].flatMap((char) => [...parser.feed(Buffer.from(char))])).toEqual(whole);
});
