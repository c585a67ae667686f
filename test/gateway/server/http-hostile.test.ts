/** Clients of the service that mean it ill, or do not know better: what they do costs themselves, and nobody else. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { openWsNamespace } from '@rdv/gateway/namespaces/ws';
import { toBase64Url } from '@rdv/protocol/core/bytes';
import { encodeCbor } from '@rdv/protocol/core/cbor';
import { describe, expect, it, vi } from 'vitest';
import { bytes, testOwner, testRecord } from '../../contract/records.js';
import { openService } from '../../support/http-rig.js';
import { surroundings, until } from '../../support/mqtt-rig.js';

const RARE = 0.001;
const queueName = (): string => toBase64Url(bytes(16));
const stays = { allowHalfOpen: true } as const;

/** A connection that says `text`, and everything that comes back. */
function say(port: number, text: string): { readonly socket: Socket; readonly heard: () => string } {
  const socket = connect({ port, host: '127.0.0.1', ...stays });
  let said = '';
  socket.on('data', (chunk) => {
    said += chunk.toString('latin1');
  });
  socket.on('error', () => {});
  socket.write(text);
  return { socket, heard: () => said };
}

const head = (...lines: readonly string[]): string => `${[...lines, 'host: x'].join('\r\n')}\r\n\r\n`;
const upgrade = (key: string, session = toBase64Url(bytes(16))): string =>
  head(
    `GET /1/link?session=${session} HTTP/1.1`,
    'connection: upgrade',
    'upgrade: websocket',
    'sec-websocket-version: 13',
    `sec-websocket-key: ${key}`,
  );
const KEY = Buffer.alloc(16).toString('base64');

/** The problem that an answer in text holds. */
function problemIn(answer: string): { readonly status: number; readonly name: string | undefined } {
  expect(answer).toContain('content-type: application/problem+json');
  const problem = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4)) as { type: string; status: number };
  expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${problem.status} `));
  return { status: problem.status, name: problem.type.split('/').at(-1) };
}

const follow = (url: string, queues: number, init: RequestInit = {}): Promise<Response> =>
  fetch(`${url}/1/events?${Array.from({ length: queues }, () => `queue=${queueName()}`).join('&')}`, init);

describe('what is spent', () => {
  it('by handshakes that fail is given back', async () => {
    await using service = await openService({ limits: { streams: 2 } });
    for (let i = 0; i < 3; i++) {
      const { socket, heard } = say(service.port, upgrade('no key'));
      await once(socket, 'end');
      expect(heard()).toMatch(/^HTTP\/1.1 400/);
      socket.destroy();
    }
    const reply = await follow(service.url, 1);
    expect(reply.status).toBe(200);
    await reply.body?.cancel();
  });

  it('by bodies without a length counts when they have come', async () => {
    await using service = await openService({ limits: { bytes: { burst: 1000, perSecond: RARE } } });
    const send = async (): Promise<number> => {
      const chunked = new ReadableStream({
        start(controller) {
          controller.enqueue(bytes(900));
          controller.close();
        },
      });
      const headers = { 'content-type': 'application/octet-stream' };
      const init = { method: 'POST', body: chunked, headers, duplex: 'half' } as RequestInit;
      return (await fetch(`${service.url}/1/queues/${queueName()}`, init)).status;
    };
    expect([await send(), await send()]).toEqual([204, 429]);
  });

  it('by many frames in one request counts as many, and what is refused is not kept', async () => {
    await using service = await openService({ limits: { frames: { burst: 12, perSecond: RARE } } });
    const send = async (count: number): Promise<number> => {
      const body = encodeCbor(Array.from({ length: count }, () => [bytes(16), bytes(1)])) as BodyInit;
      const headers = { 'content-type': 'application/cbor' };
      return (await fetch(`${service.url}/1/frames`, { method: 'POST', body, headers })).status;
    };
    expect([await send(10), await send(10)]).toEqual([200, 429]);
  });

  it('of queues and ids followed at once is bounded for an address, however many streams it spreads them over', async () => {
    await using service = await openService({ limits: { itemsPerAddress: 3 } });
    const first = await follow(service.url, 2);
    expect(first.status).toBe(200);
    expect((await follow(service.url, 2)).status).toBe(429);
    const target = { protocol: 'ws', host: '127.0.0.1', port: service.port } as const;
    await using ws = openWsNamespace({ ...surroundings, target });
    await ws.firstAttempt;
    await ws.subscribe(bytes(16), () => {}).ready;
    expect((await follow(service.url, 1)).status).toBe(429);
    await first.body?.cancel();
    await until(() => service.streams === 1);
    await ws.watch({ id: bytes(32) }, () => {}).answered;
    const second = await follow(service.url, 1);
    expect(second.status).toBe(200);
    await second.body?.cancel();
  });

  it('by a poll whose asker has gone is given back at once', async () => {
    await using service = await openService({ limits: { streams: 1 } });
    const gone = new AbortController();
    const polling = follow(service.url, 1, { headers: { accept: 'application/json' }, signal: gone.signal });
    await until(() => service.streams === 1);
    gone.abort();
    await expect(polling).rejects.toThrow();
    await until(() => service.streams === 0);
    const reply = await follow(service.url, 1);
    expect(reply.status).toBe(200);
    await reply.body?.cancel();
  });

  it('by answers that nobody reads is bounded, and given back with the connection', async () => {
    await using service = await openService({ limits: { untakenPerAddress: 1024 ** 2 } });
    const all = 1000;
    const text = head('GET /1/openapi.json HTTP/1.1').repeat(all - 1);
    // One connection asks for 25 MB at once; its kernels hold some of that.
    const { socket, heard } = say(service.port, `${text}${head('GET /1 HTTP/1.1', 'connection: close')}`);
    await once(socket, 'end');
    const statuses = heard().match(/HTTP\/1.1 \d+/g) ?? [];
    expect(statuses).toHaveLength(all);
    const refused = statuses.filter((line) => line.endsWith(' 429')).length;
    expect(refused).toBeGreaterThan(0);
    expect(refused).toBeLessThan(all);
    expect((await fetch(`${service.url}/1/openapi.json`)).status).toBe(200);
    const gone = say(service.port, text);
    gone.socket.pause();
    await fetch(`${service.url}/1`);
    gone.socket.destroy();
    await vi.waitFor(async () => expect((await fetch(`${service.url}/1/openapi.json`)).status).toBe(200));
  });

  it('by one address on a queue or an id leaves others their part', async () => {
    await using service = await openService({
      limits: { framesPerQueue: { burst: 2, perSecond: RARE }, putsPerId: { burst: 2, perSecond: RARE } },
      trustedProxies: ['127.0.0.1'],
    });
    const [queue, id] = [queueName(), bytes(32)];
    const from = (address: string) => ({ 'x-forwarded-for': address });
    const send = async (address: string): Promise<number> => {
      const headers = { 'content-type': 'application/octet-stream', ...from(address) };
      return (await fetch(`${service.url}/1/queues/${queue}`, { method: 'POST', body: 'x', headers })).status;
    };
    const put = async (address: string): Promise<number> => {
      const owner = testOwner();
      const body = testRecord({ id, owner, seq: 1, notAfter: Math.floor(Date.now() / 1000) + 60 }) as BodyInit;
      const headers = { 'content-type': 'application/cbor', ...from(address) };
      const path = `${service.url}/1/records/${toBase64Url(id)}/${toBase64Url(owner.publicKey)}`;
      return (await fetch(path, { method: 'PUT', body, headers })).status;
    };
    for (const [work, good] of [
      [send, 204],
      [put, 201],
    ] as const) {
      const asked = [];
      for (const address of ['192.0.2.1', '192.0.2.1', '192.0.2.1', '192.0.2.2']) asked.push(await work(address));
      expect(asked).toEqual([good, good, 429, good]);
    }
  });
});

it('frames are kept no longer than the service keeps any, whatever their sender asks', async () => {
  await using service = await openService({ limits: { ttlSeconds: 1 } });
  const queue = queueName();
  const headers = { 'content-type': 'application/octet-stream' };
  await fetch(`${service.url}/1/queues/${queue}?ttl=3600`, { method: 'POST', body: 'x', headers });
  const kept = async (): Promise<number> => {
    const path = `${service.url}/1/events?queue=${queue}&after=0&wait=0`;
    const reply = await fetch(path, { headers: { accept: 'application/json' } });
    return ((await reply.json()) as { events: unknown[] }).events.length;
  };
  await vi.waitFor(async () => expect(await kept()).toBe(0), { timeout: 10_000, interval: 100 });
});

describe('who is slow', () => {
  it('with a head or a body is cut off, with a problem that says so', async () => {
    await using service = await openService({ patience: { headMs: 150, requestMs: 300 } });
    const halves = [
      'GET /1 HTTP/1.1\r\nx-slow: ',
      `${head(`POST /1/queues/${queueName()} HTTP/1.1`, 'content-type: application/octet-stream', 'content-length: 9')}x`,
    ];
    for (const half of halves) {
      const { socket, heard } = say(service.port, half);
      await once(socket, 'end');
      expect(problemIn(heard())).toEqual({ status: 408, name: 'too-slow' });
      socket.destroy();
    }
  });

  it('to take an answer is cut off', async () => {
    await using service = await openService({ patience: { idleMs: 200 } });
    // Asks for much, and reads nothing of it.
    const { socket } = say(service.port, head('GET /1/openapi.json HTTP/1.1').repeat(1000));
    socket.pause();
    // Who does not read is not told; what is written then is refused.
    const writing = setInterval(() => socket.write('x'), 50);
    await new Promise((resolve) => socket.once('close', resolve));
    clearInterval(writing);
  });

  it('to take the answers to its pings is cut off, before they fill the memory', async () => {
    await using service = await openService();
    const { socket, heard } = say(service.port, upgrade(KEY));
    await until(() => heard().includes('101'));
    socket.pause();
    // Masked with zeros, 125 bytes each.
    const pings = Buffer.concat(
      Array.from({ length: 512 }, () => Buffer.concat([Buffer.from([0x89, 0xfd, 0, 0, 0, 0]), Buffer.alloc(125)])),
    );
    let over = false;
    socket.once('close', () => {
      over = true;
    });
    // The kernels of both ends hold some megabytes; a service that kept the rest would take all of these.
    for (let sent = 0; !over && sent < 64 * 1024 ** 2; sent += pings.length) {
      if (socket.write(pings)) continue;
      await new Promise<void>((resolve) => {
        for (const event of ['drain', 'close']) socket.once(event, () => resolve());
      });
    }
    expect(over).toBe(true);
  });
});

describe('what cannot be read', () => {
  it('as HTTP is refused with a problem, too', async () => {
    await using service = await openService();
    const cases = [
      ['BREW pot\r\n\r\n', 400, 'malformed'],
      [head('GET /1 HTTP/1.1', `x-long: ${'x'.repeat(20_000)}`), 431, 'head-too-large'],
      [head('GET /1/link?session=short HTTP/1.1', 'connection: upgrade', 'upgrade: websocket'), 400, 'malformed'],
      [head('GET /1/nothing HTTP/1.1', 'connection: upgrade', 'upgrade: websocket'), 404, 'not-found'],
    ] as const;
    for (const [text, status, name] of cases) {
      const { socket, heard } = say(service.port, text);
      await once(socket, 'end');
      expect(problemIn(heard())).toEqual({ status, name });
      socket.destroy();
    }
  });

  it('because the method is another says which there are', async () => {
    await using service = await openService();
    const allow = async (method: string, path: string) => {
      const reply = await fetch(`${service.url}${path}`, { method });
      expect(reply.status).toBe(405);
      expect(await reply.json()).toMatchObject({ type: '/1/problems/not-allowed' });
      return reply.headers.get('allow');
    };
    expect(await allow('DELETE', `/1/records/${toBase64Url(bytes(32))}/${toBase64Url(bytes(32))}`)).toBe(
      'GET, HEAD, PUT, OPTIONS',
    );
    expect(await allow('GET', `/1/queues/${queueName()}`)).toBe('POST, OPTIONS');
    expect(await allow('PROPFIND', '/1/events')).toBe('GET, POST, OPTIONS');
  });
});

it('who offers another protocol with a request is answered in this one', async () => {
  await using service = await openService();
  const offer = ['connection: upgrade, http2-settings', 'upgrade: h2c', 'http2-settings: AAMAAABkAAQAAP__'];
  const about = head('GET /1 HTTP/1.1', ...offer);
  const type = 'content-type: application/octet-stream';
  const sent = head(`POST /1/queues/${queueName()} HTTP/1.1`, ...offer, type, 'content-length: 2');
  for (const [text, status] of [
    [`${sent}xx`, 204],
    [about, 200],
    [head('GET /1/nothing HTTP/1.1', ...offer), 404],
  ] as const) {
    const { socket, heard } = say(service.port, text);
    await once(socket, 'end');
    expect(heard()).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    socket.destroy();
  }
});

describe('a service that closes', () => {
  it('finishes what was begun, ends its streams, and does not wait for who is slow', async () => {
    const service = await openService({ patience: { closeMs: 300 } });
    const path = `POST /1/queues/${queueName()} HTTP/1.1`;
    const half = head(path, 'content-type: application/octet-stream', 'content-length: 2');
    const [begun, slow] = [say(service.port, `${half}x`), say(service.port, `${half}x`)];
    const events = await follow(service.url, 1);
    const reading = events.text().catch(() => 'cut');
    await until(() => service.streams === 1);
    // A request that is answered: those before it have been read.
    await fetch(`${service.url}/1`);
    const closing = service.close();
    begun.socket.write('x');
    await once(begun.socket, 'end');
    expect(begun.heard()).toMatch(/^HTTP\/1.1 204/);
    await reading;
    await closing;
    expect(slow.heard()).not.toContain('204');
  });
});
