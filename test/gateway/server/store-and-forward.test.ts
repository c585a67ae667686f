/** A reader that was away, or does not keep up: nothing is lost, and nothing piles up. */
import { openHttpNamespace } from '@rdv/gateway/namespaces/http';
import type { HttpNamespace } from '@rdv/gateway/namespaces/http-namespace';
import { openWsNamespace } from '@rdv/gateway/namespaces/ws';
import type { HttpService } from '@rdv/gateway/server/http-service';
import type { Namespace } from '@rdv/protocol/namespace/port';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bytes } from '../../contract/records.js';
import { openService, openUpHttp } from '../../support/http-rig.js';
import { surroundings, until } from '../../support/mqtt-rig.js';
import { TcpProxy } from '../../support/tcp-proxy.js';

let service: HttpService;
let sender: HttpNamespace;
beforeAll(async () => {
  service = await openService();
  sender = await openUpHttp(service.port);
});
afterAll(async () => {
  await sender.close();
  await service.close();
});

type Open = (port: number, fromKept: boolean) => Namespace & { readonly firstAttempt: Promise<void> };
const WAYS: readonly [string, Open][] = [
  ['HTTP', (port, fromKept) => openHttpNamespace({ ...surroundings, fromKept, target: target('http', port) })],
  ['WebSocket', (port, fromKept) => openWsNamespace({ ...surroundings, fromKept, target: target('ws', port) })],
];

function target<P extends 'http' | 'ws'>(protocol: P, port: number) {
  return { protocol, host: '127.0.0.1', port };
}

describe.each(WAYS)('over %s', (_name, open) => {
  it('a reader whose connection broke gets what was sent meanwhile, once and in order', async () => {
    const proxy = await TcpProxy.open(service.port);
    const reader = open(proxy.port, false);
    const queue = bytes(16);
    const heard: Uint8Array[] = [];
    await reader.subscribe(queue, (frame) => heard.push(frame)).ready;
    const frames = [bytes(1), bytes(2), bytes(3), bytes(4)];
    await sender.send(queue, frames[0]!);
    await until(() => heard.length === 1);
    proxy.break();
    await until(() => reader.state === 'down');
    await sender.send(queue, frames[1]!);
    await sender.send(queue, frames[2]!);
    proxy.mend();
    const has = (wanted: Uint8Array) => (): boolean => heard.some((frame) => Buffer.compare(frame, wanted) === 0);
    await until(has(frames[2]!));
    await sender.send(queue, frames[3]!);
    await until(has(frames[3]!));
    // Over a link the last acknowledgement may have been lost with the connection: that frame comes again.
    const once = heard.filter((frame, i) => i === 0 || Buffer.compare(frame, heard[i - 1]!) !== 0);
    expect(once).toEqual(frames);
    await reader.close();
    await proxy.close();
  });

  it('a reader that comes later gets what is kept, if it wants that', async () => {
    const queue = bytes(16);
    const frames = [bytes(5), bytes(6)];
    for (const frame of frames) await sender.send(queue, frame);
    const [eager, modest] = [open(service.port, true), open(service.port, false)];
    const heard: { eager: Uint8Array[]; modest: Uint8Array[] } = { eager: [], modest: [] };
    await eager.subscribe(queue, (frame) => heard.eager.push(frame)).ready;
    await modest.subscribe(queue, (frame) => heard.modest.push(frame)).ready;
    const last = bytes(7);
    await sender.send(queue, last);
    await until(() => heard.eager.length === 3 && heard.modest.length === 1);
    expect(heard).toEqual({ eager: [...frames, last], modest: [last] });
    await Promise.all([eager.close(), modest.close()]);
  });

  it('a queue that was left for a while is gone on with', async () => {
    const reader = open(service.port, true);
    const queue = bytes(16);
    const heard: Uint8Array[] = [];
    const first = reader.subscribe(queue, (frame) => heard.push(frame));
    await first.ready;
    const [one, two] = [bytes(8), bytes(9)];
    await sender.send(queue, one);
    await until(() => heard.length === 1);
    if (first.leave) first.leave();
    else first.close();
    await sender.send(queue, two);
    reader.subscribe(queue, (frame) => heard.push(frame));
    await until(() => heard.some((frame) => Buffer.compare(frame, two) === 0));
    // Without a way to leave, everything that is kept is handed over again.
    expect(heard.at(-1)).toEqual(two);
    if (first.leave) expect(heard).toEqual([one, two]);
    await reader.close();
  });
});
