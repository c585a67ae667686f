/** The service as somebody sees it who has only the document of its interface. */
import type { HttpService } from '@rdv/gateway/server/http-service';
import { toBase64Url } from '@rdv/protocol/core/bytes';
import { decodeCbor, encodeCbor } from '@rdv/protocol/core/cbor';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bytes, testOwner, testRecord } from '../../contract/records.js';
import { openService } from '../../support/http-rig.js';
import { OpenApiClient } from './openapi-client.js';

const hour = (): number => Math.floor(Date.now() / 1000) + 3600;
const cbor = { 'content-type': 'application/cbor' };
const octets = { 'content-type': 'application/octet-stream' };
const jsonType = { 'content-type': 'application/json', accept: 'application/json' };

let service: HttpService;
let api: OpenApiClient;
beforeAll(async () => {
  service = await openService({ base: '/meet' });
  api = await OpenApiClient.open(service.url);
});
afterAll(() => service.close());

const put = (record: Uint8Array, path: string, headers: Record<string, string> = {}) =>
  api.ask('PUT', path, { body: record, headers: { ...cbor, ...headers } });

function place() {
  const id = bytes(32);
  const owner = testOwner();
  const path = `/1/records/${toBase64Url(id)}/${toBase64Url(owner.publicKey)}`;
  const record = (seq: number, more: { notAfter?: number; sealedBytes?: number } = {}) =>
    testRecord({ id, owner, seq, notAfter: hour(), ...more });
  return { id, owner, path, list: `/1/records/${toBase64Url(id)}`, record };
}

describe('records', () => {
  it('are put, read, replaced and taken back, with conditions', async () => {
    const { path, list, record } = place();
    expect((await api.ask('GET', path)).status).toBe(404);
    expect(decodeCbor((await api.ask('GET', list)).bytes)).toEqual([]);
    const [first, second, tombstone] = [record(1), record(2), record(3, { sealedBytes: 0 })];
    const made = await put(first, path, { 'if-none-match': '*' });
    expect(made.status).toBe(201);
    expect((await put(first, path)).status).toBe(204);
    expect((await put(second, path, { 'if-none-match': '*' })).json).toMatchObject({ status: 412, code: 'refused' });
    const read = await api.ask('GET', path);
    expect([read.status, read.headers.get('etag')]).toEqual([200, made.headers.get('etag')]);
    expect(read.bytes).toEqual(first);
    const etag = made.headers.get('etag') ?? '';
    expect((await api.ask('GET', path, { headers: { 'if-none-match': `"x", ${etag}` } })).status).toBe(304);
    expect((await api.ask('HEAD', path)).headers.get('etag')).toBe(etag);
    expect((await put(second, path, { 'if-match': etag })).status).toBe(204);
    expect((await put(tombstone, path, { 'if-match': etag })).status).toBe(412);
    const now = (await api.ask('HEAD', path)).headers.get('etag') ?? '';
    expect((await put(tombstone, path, { 'if-match': `W/${now}` })).status).toBe(412);
    expect((await put(tombstone, path, { 'if-match': `"x", ${now}` })).status).toBe(204);
    expect((await put(tombstone, path, { 'if-match': '*' })).status).toBe(204);
    const other = place();
    expect((await put(other.record(1), other.path, { 'if-match': '*' })).status).toBe(412);
    const all = await api.ask('GET', list);
    expect(decodeCbor(all.bytes)).toEqual([tombstone]);
    const unchanged = await api.ask('GET', list, { headers: { 'if-none-match': all.headers.get('etag') ?? '' } });
    expect(unchanged.status).toBe(304);
  });

  it('are refused with a typed problem that says why', async () => {
    const { path, record } = place();
    await put(record(5), path);
    const forged = record(6);
    forged[forged.length - 1]! ^= 1;
    const cases: [Promise<{ json: Record<string, unknown> }>, number, string][] = [
      [put(record(4), path), 409, 'not-newer'],
      [put(forged, path), 422, 'signature'],
      [put(record(7, { notAfter: hour() - 7200 }), path), 422, 'expired'],
      [put(record(7, { notAfter: hour() + 20 * 86_400 }), path), 400, 'malformed'],
      [put(record(7), place().path), 400, 'malformed'],
      [put(bytes(100), path), 400, 'malformed'],
      [put(bytes(6328), path), 413, 'too-large'],
      [put(record(7), '/1/records/short/also'), 400, 'malformed'],
      [put(record(7), path, { 'if-match': 'W/"x"' }), 412, 'condition'],
      [put(record(7), path, { 'if-match': '*', 'if-none-match': '*' }), 400, 'malformed'],
      [api.ask('PUT', path, { body: record(7), headers: octets }), 415, 'media-type'],
      [api.ask('GET', path, { headers: { accept: 'text/html' } }), 406, 'not-acceptable'],
    ];
    for (const [asked, status, name] of cases) {
      const { json } = await asked;
      expect(json).toMatchObject({ status, type: `/meet/1/problems/${name}` });
    }
  });

  it('keeps one owner of each client, four of each address', async () => {
    const { list, id } = place();
    const putBy = async (client: string, seq: number): Promise<Uint8Array> => {
      const owner = testOwner();
      const record = testRecord({ id, owner, seq, notAfter: hour() });
      await put(record, `${list}/${toBase64Url(owner.publicKey)}`, { 'rdv-client': client });
      return record;
    };
    const kept = async () => decodeCbor((await api.ask('GET', list)).bytes);
    const first = await putBy('a', 1);
    const second = await putBy('a', 1);
    expect(await kept()).toEqual([second]);
    expect(first).not.toEqual(second);
    const others = [await putBy('b', 1), await putBy('c', 1), await putBy('d', 1)];
    expect(await kept()).toEqual([second, ...others]);
    const fifth = await putBy('e', 1);
    expect(await kept()).toEqual([...others, fifth]);
  });
});

describe('queues', () => {
  it('are sent to one by one or many at once, and read by long poll from a place', async () => {
    const [one, two] = [bytes(16), bytes(16)];
    const frames = [bytes(3), bytes(4), bytes(16_384)];
    expect(
      (await api.ask('POST', `/1/queues/${toBase64Url(one)}?ttl=60`, { body: frames[0]!, headers: octets })).status,
    ).toBe(204);
    const pairs = encodeCbor([
      [two, frames[1]!],
      [one, frames[2]!],
    ]);
    expect((await api.ask('POST', '/1/frames', { body: pairs, headers: cbor })).json).toEqual({ refused: [] });
    const from = { queues: [{ queue: toBase64Url(one), after: 0 }, { queue: toBase64Url(two) }], wait: 5 };
    const { json } = await api.ask('POST', '/1/events', { body: JSON.stringify(from), headers: jsonType });
    const events = json['events'] as { queue: string; n: number; frame: string }[];
    expect(events.map(({ queue, frame }) => [queue, frame])).toEqual([
      [toBase64Url(one), toBase64Url(frames[0]!)],
      [toBase64Url(one), toBase64Url(frames[2]!)],
    ]);
    // The next poll waits for what comes after them.
    const next = { queues: [{ queue: toBase64Url(one), after: events[1]!.n }], wait: 10 };
    const waiting = api.ask('POST', '/1/events', { body: JSON.stringify(next), headers: jsonType });
    const sent = bytes(5);
    await api.ask('POST', `/1/queues/${toBase64Url(one)}`, { body: sent, headers: octets });
    const later = (await waiting).json['events'] as { frame: string }[];
    expect(later.map(({ frame }) => frame)).toEqual([toBase64Url(sent)]);
  });

  it('answer a poll of nothing in time, and of records only when they have changed', async () => {
    const { id, path, record } = place();
    const quiet = `/1/events?queue=${toBase64Url(bytes(16))}&wait=0`;
    expect((await api.ask('GET', quiet, { headers: { accept: 'application/json' } })).json['events']).toEqual([]);
    const first = record(1);
    await put(first, path);
    const ask = (tag?: string) =>
      api.ask('POST', '/1/events', {
        body: JSON.stringify({ ids: [{ id: toBase64Url(id), tag }], wait: 20 }),
        headers: jsonType,
      });
    const [told, answered] = (await ask()).json['events'] as { record?: string; tag?: string }[];
    expect(told?.record).toBe(toBase64Url(first));
    const waiting = ask(answered?.tag);
    const newer = record(2);
    await put(newer, path);
    const events = (await waiting).json['events'] as { type: string; record?: string }[];
    expect(events.some((event) => event.record === toBase64Url(newer))).toBe(true);
  });

  it('are streamed with ids that a browser takes the stream up again by', async () => {
    const [one, two] = [bytes(16), bytes(16)];
    const send = async (queue: Uint8Array, fill: number) =>
      api.ask('POST', `/1/queues/${toBase64Url(queue)}`, { body: bytes(2, fill), headers: octets });
    await send(one, 1);
    await send(two, 2);
    const path = `${service.url}/1/events?queue=${toBase64Url(one)}&queue=${toBase64Url(two)}&after=0`;
    /** Until the frames that begin with `wanted` have come. @returns the first byte and the id of each */
    const follow = async (wanted: number[], lastEventId?: string) => {
      const headers = {
        accept: 'text/event-stream',
        ...(lastEventId !== undefined && { 'last-event-id': lastEventId }),
      };
      const reply = await fetch(path, { headers });
      expect(reply.headers.get('content-type')).toBe('text/event-stream');
      const frames: { fill: number; id: string }[] = [];
      let text = '';
      for await (const chunk of reply.body!) {
        text += Buffer.from(chunk).toString();
        const events = text.split('\n\n');
        text = events.pop()!;
        for (const event of events) {
          const [, id = ''] = /^id: (\d+)$/m.exec(event) ?? [];
          const [, frame] = /"frame":"([^"]+)"/.exec(event) ?? [];
          if (frame) frames.push({ fill: Buffer.from(frame, 'base64url')[0]!, id });
        }
        if (wanted.every((fill) => frames.some((frame) => frame.fill === fill))) break;
      }
      return frames;
    };
    const first = await follow([1, 2]);
    expect(first).toHaveLength(2);
    await send(one, 3);
    await send(two, 4);
    expect(await follow([3, 4], first[1]!.id)).toHaveLength(2);
    // A stream that broke before its second frame: that one comes, whatever its number is.
    await follow([first[1]!.fill, 3, 4], first[0]!.id);
  });

  it('are refused with a typed problem that says why', async () => {
    const queue = toBase64Url(bytes(16));
    const event = (body: unknown, headers: Record<string, string> = jsonType) =>
      api.ask('POST', '/1/events', { body: typeof body === 'string' ? body : JSON.stringify(body), headers });
    const frame = (body: Uint8Array, path = `/1/queues/${queue}`, headers = octets) =>
      api.ask('POST', path, { body, headers });
    const many = (value: Parameters<typeof encodeCbor>[0]) => frame(encodeCbor(value), '/1/frames', cbor);
    const cases: [Promise<{ json: Record<string, unknown> }>, string][] = [
      [frame(new Uint8Array(0)), 'malformed'],
      [frame(bytes(1), '/1/queues/abc'), 'malformed'],
      [frame(bytes(1), `/1/queues/${queue}?ttl=100000`), 'malformed'],
      [frame(bytes(16_385)), 'too-large'],
      [many([]), 'malformed'],
      [many([[bytes(15), bytes(1)]]), 'malformed'],
      [many([[bytes(16), bytes(16_385)]]), 'too-large'],
      [many(new Array(257).fill([bytes(16), bytes(1)])), 'malformed'],
      [frame(bytes(1024 ** 2 + 1), '/1/frames', cbor), 'too-large'],
      [event('{'), 'malformed'],
      [event([]), 'malformed'],
      [event({}), 'malformed'],
      [event({ queues: [queue] }), 'malformed'],
      [event({ queues: [{ queue, after: -1 }] }), 'malformed'],
      [event({ queues: [{ queue }], wait: 61 }), 'malformed'],
      [event({ queues: [{ queue }], wiat: 1 }), 'malformed'],
      [event({ queues: new Array(4097).fill({ queue }) }), 'malformed'],
      [api.ask('GET', `/1/events?queue=${queue}`, { headers: { accept: 'text/html' } }), 'not-acceptable'],
    ];
    for (const [index, [asked, name]] of cases.entries()) {
      expect((await asked).json['type'], `case ${index}`).toBe(`/meet/1/problems/${name}`);
    }
  });
});

describe('the service', () => {
  it('describes itself, and what its problems mean', async () => {
    expect((await api.ask('GET', '/1')).json).toMatchObject({ service: 'rdv', version: 1, maxFrameBytes: 16_384 });
    expect(Buffer.from((await api.ask('GET', '/1/problems/not-newer')).bytes).toString()).toContain('409');
    expect((await api.ask('GET', '/1/problems/constructor')).status).toBe(404);
    await api.ask('GET', '/1/openapi.json');
    expect((await api.ask('GET', '/1/link')).status).toBe(404);
    const asked = new Set([...api.seen].map((one) => one.split(' ')[0]));
    expect(api.operations.filter((operation) => !asked.has(operation))).toEqual([]);
  });

  it('answers what it does not have, other methods, and paths that make no sense, with problems', async () => {
    const type = async (method: string, path: string) => {
      const reply = await fetch(`${service.url}${path}`, { method });
      expect(reply.headers.get('content-type')).toBe('application/problem+json');
      return ((await reply.json()) as { type: string }).type.split('/').at(-1);
    };
    expect(await type('GET', '/1/nothing')).toBe('not-found');
    expect(await type('DELETE', `/1/records/${toBase64Url(bytes(32))}`)).toBe('not-allowed');
    expect(await type('GET', '/1/records/%ff')).toBe('malformed');
    expect(await type('GET', `/1/records/${'x'.repeat(500)}`)).toMatch(/not-found|malformed/);
  });

  it('repeats nothing of a request in a refusal', async () => {
    const secret = toBase64Url(bytes(31));
    for (const path of [`/1/records/${secret}`, `/1/${secret}`, `/1/events?queue=${secret}`]) {
      expect(await (await fetch(`${service.url}${path}`)).text()).not.toContain(secret);
    }
  });
});
