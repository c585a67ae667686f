import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { Air } from '@rdv/hardware/air/air';
import { listenAir } from '@rdv/hardware/air/server';
import { openMux } from '@rdv/hardware/hci/mux/mux';
import { openTransport } from '@rdv/hardware/hci/open-transport';
import { streamTransport } from '@rdv/hardware/hci/stream-transport';
import { systemClock } from '@rdv/hardware/host/system';
import { toHex } from '@rdv/protocol/core/bytes';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'rdv-hci-'));
});
afterEach(() => rm(dir, { recursive: true }));

describe('opening adapters by name', () => {
  it('reaches a virtual adapter over a unix socket and over TCP', async () => {
    const path = join(dir, 'air.sock');
    const controller = { address: '00:aa:02:00:00:77' };
    await using unix = await listenAir(new Air(), { path, controller });
    await using tcp = await listenAir(new Air(), { port: 0, controller });
    for (const place of [unix.address, tcp.address]) {
      const { transport, channel } = await openTransport(`virtual:${place}`);
      expect(channel).toBe('h4');
      const mux = await openMux(transport, { clock: systemClock });
      expect(toHex(mux.publicAddress)).toBe('00aa02000077');
      await mux.close();
    }
  });

  it('says what to do where there is nothing', async () => {
    await expect(openTransport(`virtual:${join(dir, 'none')}`)).rejects.toMatchObject({
      code: 'adapter',
      message: expect.stringContaining('start the air there first'),
    });
    await expect(openTransport(`serial:${join(dir, 'none')}`)).rejects.toMatchObject({
      code: 'adapter',
      message: expect.stringContaining('there is no serial port'),
    });
  });

  it('closes with the other end, and on bytes that are not H4', async () => {
    const path = join(dir, 'odd.sock');
    const server = createServer((socket) => socket.end(Uint8Array.of(0x77, 1, 2)));
    await new Promise<void>((resolve) => server.listen(path, resolve));
    const { transport } = await openTransport({ kind: 'virtual', place: { path } });
    const reason = await new Promise((resolve) => transport.onClose(resolve));
    expect(reason).toBe('the controller does not speak H4');
    server.close();
  });

  it('gives up on a controller that does not read', () => {
    const stream = new PassThrough({ highWaterMark: 1 });
    const transport = streamTransport(stream);
    stream.pause();
    const reasons: string[] = [];
    transport.onClose((reason) => reasons.push(reason));
    for (let i = 0; i < 5000 && reasons.length === 0; i++) transport.write(new Uint8Array(1000));
    expect(reasons).toEqual(['the controller does not read']);
    expect(stream.destroyed).toBe(true);
  });
});
