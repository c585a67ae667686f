import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Air } from '@rdv/hardware/air/air';
import { type AirServer, listenAir } from '@rdv/hardware/air/server';
import { openRadioHost, type RadioHost } from '@rdv/hardware/host/open-radio';
import { systemClock } from '@rdv/hardware/host/system';
import type { CentralLink, HeardAdvert } from '@rdv/hardware/radio/central';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { advertisement } from '../../contract/radio.js';

const CENTRAL = new URL(import.meta.resolve('@rdv/gateway/radio/noble-central'));
const PERIPHERAL = new URL(import.meta.resolve('@rdv/beacon/bleno-peripheral'));
const PACKETS = 1000;

async function soon(done: () => boolean, limitMs = 40_000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!done()) {
    if (performance.now() > end) throw new Error(`nothing happened within ${limitMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

describe('real child processes, unpatched bleno and noble', () => {
  const path = join(tmpdir(), `rdv-child-${process.pid}.sock`);
  const adapter = `virtual:${path}`;
  const closedAtBeacon: string[] = [];
  let server: AirServer;
  let beacon: RadioHost;
  let gateway: RadioHost;
  let heard: HeardAdvert | undefined;

  beforeAll(async () => {
    server = await listenAir(new Air(), { path });
    const common = { adapter, clock: systemClock, log: silentLogger };
    beacon = await openRadioHost({ ...common, modules: { peripheral: PERIPHERAL } });
    gateway = await openRadioHost({ ...common, modules: { central: CENTRAL } });
    beacon.peripheral!.onLink((link) => {
      link.onPacket((packet) => void link.send(packet).catch(() => {}));
      link.onClose((reason) => closedAtBeacon.push(reason));
    });
    await beacon.peripheral!.advertise(advertisement(0x7000));
    await gateway.central!.scan((advert) => {
      heard = advert;
    });
    await soon(() => heard !== undefined);
  });

  afterAll(async () => {
    await Promise.all([beacon.close(), gateway.close()]);
    await server.close();
    await rm(path, { force: true });
  });

  async function echo(): Promise<{ link: CentralLink; reasons: string[] }> {
    const link = await gateway.central!.connect(heard!.peer);
    const reasons: string[] = [];
    link.onClose((reason) => reasons.push(reason));
    let wrong = 0;
    let back = 0;
    const packet = (n: number): Uint8Array => new Uint8Array(1 + ((n * 31) % 244)).fill(n).fill(n >> 8, 0, 1);
    link.onPacket((got) => {
      if (Buffer.compare(got, packet(back++)) !== 0) wrong++;
    });
    for (let n = 0; n < PACKETS; n++) await link.send(packet(n));
    await soon(() => back >= PACKETS, 40_000);
    expect([back, wrong]).toEqual([PACKETS, 0]);
    return { link, reasons };
  }

  it('echo 1,000 packets exactly; whichever host is killed is replaced, and work goes on', async () => {
    const first = await echo();
    const beaconPid = beacon.health.pid!;
    process.kill(beaconPid, 'SIGKILL');
    await soon(() => closedAtBeacon.length === 1 && first.reasons.length === 1);
    expect(closedAtBeacon[0]).toContain('SIGKILL');
    heard = undefined;
    await soon(() => heard !== undefined && beacon.state === 'up');

    const second = await echo();
    process.kill(gateway.health.pid!, 'SIGKILL');
    await soon(() => second.reasons.length === 1);
    expect(second.reasons[0]).toContain('SIGKILL');
    heard = undefined;
    await soon(() => heard !== undefined && gateway.state === 'up');
    await soon(() => closedAtBeacon.length === 2);

    (await echo()).link.close();
    expect([beacon.health.starts, gateway.health.starts]).toEqual([2, 2]);
    expect(alive(beaconPid)).toBe(false);
  }, 120_000);

  it('replaces a host that is stopped in its tracks', async () => {
    const stopped = gateway.health.pid!;
    const { starts } = gateway.health;
    process.kill(stopped, 'SIGSTOP');
    await soon(() => gateway.health.starts > starts, 40_000);
    heard = undefined;
    await soon(() => heard !== undefined && gateway.state === 'up');
    expect(gateway.health.lastFailure).toContain('no sign of life');
    await soon(() => !alive(stopped));
  }, 120_000);

  it('takes up work again when the adapter was pulled out and is back', async () => {
    const { starts } = beacon.health;
    server.controllers[0]!.vanish();
    await soon(() => beacon.health.starts > starts || gateway.health.starts > starts);
    await soon(() => beacon.state === 'up' && gateway.state === 'up');
    heard = undefined;
    await soon(() => heard !== undefined);
  }, 120_000);

  it('survives Ctrl-C, which every process of the group gets: the node decides', async () => {
    const { pid } = gateway.health;
    process.kill(pid!, 'SIGINT');
    heard = undefined;
    await soon(() => heard !== undefined);
    expect(gateway.health.pid).toBe(pid);
  });

  it('says in one line what is wrong with an adapter, and leaves no process behind', async () => {
    const common = { clock: systemClock, log: silentLogger };
    const modules = { central: CENTRAL };
    const missing = openRadioHost({ ...common, modules, adapter: `virtual:${path}.not-there` });
    await expect(missing).rejects.toMatchObject({ code: 'adapter', message: expect.not.stringContaining('\n') });
    const broken = { central: new URL('file:///nowhere/adapter.js') };
    await expect(openRadioHost({ ...common, modules: broken, adapter })).rejects.toThrow('npm ci');
    await expect(openRadioHost({ ...common, modules, adapter: 'bluetooth' })).rejects.toThrow('hci0');
    const host = await openRadioHost({ ...common, modules, adapter });
    const { pid } = host.health;
    await host.close();
    await soon(() => !alive(pid!));
  }, 120_000);
});
