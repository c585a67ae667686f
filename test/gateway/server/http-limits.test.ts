/** What strangers may cost the service, who counts as whom, and from where pages may ask. */
import { request } from 'node:https';
import { connect } from 'node:net';
import { GeneralName, SubjectAlternativeName } from '@peculiar/asn1-x509';
import { openHttpNamespace } from '@rdv/gateway/namespaces/http';
import { openWsNamespace } from '@rdv/gateway/namespaces/ws';
import { callerAddress } from '@rdv/gateway/server/caller-address';
import { addressKey } from '@rdv/gateway/server/service-limits';
import { toBase64Url } from '@rdv/protocol/core/bytes';
import { describe, expect, it } from 'vitest';
import { bytes, testOwner, testRecord } from '../../contract/records.js';
import { extension, issue, newKeys } from '../../support/certificates.js';
import { openService } from '../../support/http-rig.js';
import { surroundings, until } from '../../support/mqtt-rig.js';

const octets = { 'content-type': 'application/octet-stream' };
const post = (url: string, queue: Uint8Array, headers: Record<string, string> = {}) =>
  fetch(`${url}/1/queues/${toBase64Url(queue)}`, { method: 'POST', body: 'x', headers: { ...octets, ...headers } });

describe('limits', () => {
  it('by address: beyond them 429 and when to come again; another address is not touched', async () => {
    await using service = await openService({
      limits: { requests: { burst: 5, perSecond: 0.001 } },
      trustedProxies: ['127.0.0.0/8'],
    });
    const from = (address: string) => post(service.url, bytes(16), { 'x-forwarded-for': `6.6.6.6, ${address}` });
    for (let i = 0; i < 5; i++) expect((await from('192.0.2.1')).status).toBe(204);
    const refused = await from('192.0.2.1');
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await refused.json()).toMatchObject({ code: 'quota', type: '/1/problems/rate-limited' });
    expect((await from('192.0.2.2')).status).toBe(204);
  });

  it('by queue and by id', async () => {
    await using service = await openService({
      limits: { framesPerQueue: { burst: 2, perSecond: 0.001 }, putsPerId: { burst: 1, perSecond: 0.001 } },
    });
    const queue = bytes(16);
    expect([(await post(service.url, queue)).status, (await post(service.url, queue)).status]).toEqual([204, 204]);
    expect((await post(service.url, queue)).status).toBe(429);
    expect((await post(service.url, bytes(16))).status).toBe(204);
    const id = bytes(32);
    const put = () => {
      const owner = testOwner();
      const record = testRecord({ id, owner, seq: 1, notAfter: Math.floor(Date.now() / 1000) + 60 });
      const path = `${service.url}/1/records/${toBase64Url(id)}/${toBase64Url(owner.publicKey)}`;
      const headers = { 'content-type': 'application/cbor' };
      return fetch(path, { method: 'PUT', body: record as BodyInit, headers });
    };
    expect([(await put()).status, (await put()).status]).toEqual([201, 429]);
  });

  it('of streams and links, given back when they end', async () => {
    await using service = await openService({ limits: { streamsPerAddress: 2 } });
    const target = { host: '127.0.0.1', port: service.port };
    const [sse, ws] = [
      openHttpNamespace({ ...surroundings, target: { ...target, protocol: 'http' } }),
      openWsNamespace({ ...surroundings, target: { ...target, protocol: 'ws' } }),
    ];
    await sse.subscribe(bytes(16), () => {}).ready;
    await ws.subscribe(bytes(16), () => {}).ready;
    const follow = () => fetch(`${service.url}/1/events?queue=${toBase64Url(bytes(16))}`);
    expect((await follow()).status).toBe(429);
    const third = openWsNamespace({ ...surroundings, target: { ...target, protocol: 'ws' } });
    await expect(third.firstAttempt).rejects.toThrow('429');
    await Promise.all([sse.close(), ws.close(), third.close()]);
    await until(() => service.streams === 0);
    const again = await follow();
    expect(again.status).toBe(200);
    await again.body?.cancel();
  });

  it('of connections that ask nothing', async () => {
    await using service = await openService({ limits: { streamsPerAddress: 0 } });
    const sockets = Array.from({ length: 258 }, () => connect(service.port, '127.0.0.1').on('error', () => {}));
    await until(() => sockets.filter(({ closed }) => closed).length === 2);
    const one = new Promise((resolve) => sockets[0]!.once('data', (data) => resolve(String(data))));
    sockets[0]!.write('GET /1 HTTP/1.1\r\nhost: x\r\n\r\n');
    expect(await one).toContain('200 OK');
    for (const socket of sockets) socket.destroy();
  });

  it('of records in all, and of bytes of one sender: its own oldest frames make room', async () => {
    await using service = await openService({
      storeLimits: { maxRecords: 1, maxSenderBytes: 3 * (128 + 1000) },
      trustedProxies: ['127.0.0.1'],
    });
    const [mine, theirs] = [bytes(16), bytes(16)];
    const send = (queue: Uint8Array, address: string, fill: number) =>
      fetch(`${service.url}/1/queues/${toBase64Url(queue)}`, {
        method: 'POST',
        body: bytes(1000, fill) as BodyInit,
        headers: { ...octets, 'x-forwarded-for': address },
      });
    await send(theirs, '192.0.2.9', 9);
    for (const fill of [1, 2, 3, 4, 5]) await send(mine, '192.0.2.1', fill);
    const kept = async (queue: Uint8Array) => {
      const path = `/1/events?queue=${toBase64Url(queue)}&after=0&wait=1`;
      const reply = await fetch(`${service.url}${path}`, { headers: { accept: 'application/json' } });
      const { events } = (await reply.json()) as { events: { frame: string }[] };
      return events.map(({ frame }) => Buffer.from(frame, 'base64url')[0]);
    };
    expect(await kept(mine)).toEqual([3, 4, 5]);
    expect(await kept(theirs)).toEqual([9]);
    const put = async () => {
      const [id, owner] = [bytes(32), testOwner()];
      const record = testRecord({ id, owner, seq: 1, notAfter: Math.floor(Date.now() / 1000) + 60 });
      return fetch(`${service.url}/1/records/${toBase64Url(id)}/${toBase64Url(owner.publicKey)}`, {
        method: 'PUT',
        body: record as BodyInit,
        headers: { 'content-type': 'application/cbor' },
      });
    };
    expect([(await put()).status, (await put()).status]).toEqual([201, 507]);
  });
});

describe('who asks', () => {
  it('is the nearest that is no trusted proxy', () => {
    const of = (proxies: string[], remoteAddress: string, forwarded?: string) =>
      callerAddress(proxies)({
        socket: { remoteAddress },
        headers: forwarded === undefined ? {} : { 'x-forwarded-for': forwarded },
      } as Parameters<ReturnType<typeof callerAddress>>[0]);
    expect(of([], '10.0.0.1', '1.1.1.1')).toBe('10.0.0.1');
    expect(of(['10.0.0.0/8'], '::ffff:10.0.0.1', '1.1.1.1')).toBe('1.1.1.1');
    expect(of(['10.0.0.0/8'], '10.0.0.1', '9.9.9.9, 1.1.1.1, 10.2.2.2')).toBe('1.1.1.1');
    expect(of(['10.0.0.0/8'], '10.0.0.1', 'unknown')).toBe('10.0.0.1');
    expect(of(['fd00::/8'], 'fd00::1', '2001:db8::7')).toBe('2001:db8::7');
    // Some say the port, too.
    expect(of(['10.0.0.0/8'], '10.0.0.1', '9.9.9.9, 1.1.1.1:4711')).toBe('1.1.1.1');
    expect(of(['10.0.0.0/8'], '10.0.0.1', '[2001:db8::7]:4711')).toBe('2001:db8::7');
    expect(of(['10.0.0.0/8'], '10.0.0.1', '[2001:db8::7]')).toBe('2001:db8::7');
    expect(of(['10.0.0.0/8'], '10.0.0.1', '1.1.1.1:x')).toBe('10.0.0.1');
    expect(() => callerAddress(['nginx'])).toThrow('trusted proxy "nginx"');
  });

  it('counts by /64 in IPv6', () => {
    expect(addressKey('2001:db8:0:7::1')).toBe(addressKey('2001:db8::7:1:2:3:4'));
    expect(addressKey('2001:db8:0:7::1')).not.toBe(addressKey('2001:db8:0:8::1'));
    expect(addressKey('::ffff:192.0.2.1')).toBe('192.0.2.1');
    expect(addressKey('fe80::1%eth0')).toBe(addressKey('fe80::2'));
  });
});

describe('pages', () => {
  const preflight = (url: string, origin: string) =>
    fetch(`${url}/1/records/a/b`, {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'PUT', 'access-control-request-headers': 'rdv-client' },
    });

  it('of all origins may use it, unless some are named', async () => {
    await using open = await openService();
    const allowed = await preflight(open.url, 'https://page.example');
    expect(allowed.headers.get('access-control-allow-origin')).toBe('*');
    expect(allowed.headers.get('access-control-allow-methods')).toContain('PUT');
    expect(allowed.headers.get('access-control-allow-headers')).toContain('rdv-client');
    const events = await fetch(`${open.url}/1/events?queue=${toBase64Url(bytes(16))}`, {
      headers: { origin: 'https://x' },
    });
    expect(events.headers.get('access-control-allow-origin')).toBe('*');
    await events.body?.cancel();

    await using closed = await openService({ origins: ['https://page.example'] });
    const origin = async (from: string) =>
      (await preflight(closed.url, from)).headers.get('access-control-allow-origin');
    expect(await origin('https://page.example')).toBe('https://page.example');
    expect(await origin('https://other.example')).not.toBe('https://other.example');
    const link = `${closed.url}/1/link?session=${toBase64Url(bytes(16))}`;
    const upgrade = { connection: 'upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' };
    const { get } = await import('node:http');
    const status = await new Promise((resolve) => {
      const key = Buffer.from(bytes(16)).toString('base64');
      const headers = { ...upgrade, 'sec-websocket-key': key, origin: 'https://other.example' };
      get(link, { headers }, ({ statusCode }) => resolve(statusCode));
    });
    expect(status).toBe(403);
  });
});

function certificate(): { readonly cert: string; readonly key: string } {
  const keys = newKeys('p256');
  const names = new SubjectAlternativeName([new GeneralName({ dNSName: 'localhost' })]);
  const [from, to] = [Date.now() - 60_000, Date.now() + 3_600_000];
  const { der } = issue({ subject: 'CN=localhost', keys, from, to, more: [extension('2.5.29.17', names, false)] });
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString('base64')}\n-----END CERTIFICATE-----\n`,
    key: String(keys.key.export({ format: 'pem', type: 'pkcs8' })),
  };
}

describe('TLS', () => {
  it('is spoken by the service and both clients, who believe the authority that they are given', async () => {
    const { cert: pem, key } = certificate();
    await using service = await openService({ tls: { cert: pem, key } });
    expect(service.url).toMatch(/^https:/);
    const target = { host: 'localhost', port: service.port, ca: pem };
    const [sse, ws] = [
      openHttpNamespace({ ...surroundings, target: { ...target, protocol: 'https' } }),
      openWsNamespace({ ...surroundings, target: { ...target, protocol: 'wss' } }),
    ];
    const [queue, frame] = [bytes(16), bytes(20)];
    const heard: Uint8Array[] = [];
    await ws.subscribe(queue, (one) => heard.push(one)).ready;
    await sse.firstAttempt;
    await sse.send(queue, frame);
    await until(() => heard.length === 1);
    const { ca: _, ...unknown } = target;
    const stranger = openHttpNamespace({ ...surroundings, target: { ...unknown, protocol: 'https' } });
    await expect(stranger.firstAttempt).rejects.toThrow('?ca=FILE');
    await Promise.all([sse.close(), ws.close(), stranger.close()]);
    expect(() => service.renewTls({ cert: pem, key: certificate().key })).toThrow();
    const next = certificate();
    service.renewTls(next);
    const renewed = openHttpNamespace({ ...surroundings, target: { ...target, ca: next.cert, protocol: 'https' } });
    await renewed.firstAttempt;
    await renewed.close();
    const old = await new Promise((resolve) => {
      request({ ...target, maxVersion: 'TLSv1.1', path: '/1' })
        .on('error', ({ message }) => resolve(message))
        .end();
    });
    expect(old).toMatch(/protocol|version|unsupported/i);
  });
});
