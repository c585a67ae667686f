/** What a bridge's end of a namespace service sees of what people do there, at whichever of its processes (SPEC §9.6). */
import { openHttpNamespace } from '@rdv/gateway/namespaces/http';
import type { HttpService } from '@rdv/gateway/server/http-service';
import { toHex } from '@rdv/protocol/core/bytes';
import { describe, expect, it } from 'vitest';
import { surroundings, until } from '../support/mqtt-rig.js';
import { bytes, testOwner, testRecord } from './records.js';

/** @param open two processes of one service, or one twice */
export function serviceEndContract(name: string, open: () => Promise<readonly [HttpService, HttpService]>): void {
  describe(`bridge's end contract: ${name}`, () => {
    it('shows what people put and send, once, and nothing that a bridge brought', async () => {
      const [here, there] = await open();
      const [mine, other] = [here.bridgeEnd(), here.bridgeEnd()];
      const seen: string[] = [];
      const note = (what: Uint8Array): void => void seen.push(toHex(what).slice(-8));
      const stop = mine.observe({
        onLookup: () => {},
        onLookupEnd: () => {},
        onSub: () => {},
        onUnsub: () => {},
        onPut: note,
        onSend: (_queue, frame) => note(frame),
      });
      const clients = [here, there].map(({ port }) =>
        openHttpNamespace({ ...surroundings, target: { protocol: 'http', host: '127.0.0.1', port } }),
      );
      const record = () =>
        testRecord({ id: bytes(32), owner: testOwner(), seq: 1, notAfter: Math.floor(Date.now() / 1000) + 3600 });
      const wanted: string[] = [];
      for (const [i, client] of [...clients, mine, other].entries()) {
        const [put, frame] = [record(), bytes(24)];
        if (i < clients.length) wanted.push(toHex(put).slice(-8), toHex(frame).slice(-8));
        await client.put(put);
        await client.send(bytes(16), frame);
      }
      // Bridges' first, so that what is seen of them would be there by now.
      const last = bytes(24);
      await clients[1]!.send(bytes(16), last);
      await until(() => seen.includes(toHex(last).slice(-8)));
      await until(() => wanted.every((one) => seen.includes(one)));
      expect(seen.toSorted()).toEqual([...wanted, toHex(last).slice(-8)].toSorted());
      stop();
      await Promise.all([mine, other, ...clients].map((one) => one.close()));
    });
  });
}
