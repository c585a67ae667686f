/** Controllers that speak H4 on serial ports (a dongle with Zephyr's `hci_uart`): the seam is the same, the port is real. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Air } from '@rdv/hardware/air/air';
import { command, Opcode } from '@rdv/hardware/hci/packets';
import { openSerialTransport } from '@rdv/hardware/hci/serial-port';
import { openRadioHost } from '@rdv/hardware/host/open-radio';
import { systemClock } from '@rdv/hardware/host/system';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import { afterAll, describe, expect, it } from 'vitest';
import { advertisement, radioContract } from '../../contract/radio.js';
import { Bench, freshTag } from '../../gateway/cli/rdv-process.js';
import { until } from '../../support/mqtt-rig.js';
import { CENTRAL, PERIPHERAL, radioHosts } from '../../support/radio-hosts.js';
import { ownMs } from '../../support/starved.js';
import { Dongle } from './dongle.js';

const folder = mkdtempSync(join(tmpdir(), 'rdv-serial-'));
const air = new Air({ clock: systemClock });
const names = ['beacon', 'gateway', 'other'];
const dongles = await Promise.all(names.map((name, i) => Dongle.plug(air, folder, name, `00:aa:04:00:00:0${i + 1}`)));
const [beacon, gateway, other] = dongles as [Dongle, Dongle, Dongle];
afterAll(async () => {
  for (const dongle of dongles) await dongle.close();
  rmSync(folder, { recursive: true });
});

radioContract('serial ports', async () => ({
  ...(await radioHosts(beacon.adapter, [gateway.adapter, other.adapter])),
  range: (up) => air.setPath(beacon.controller, gateway.controller, { up }),
}));

describe('a serial port', () => {
  const host = (adapter: string, modules: object): ReturnType<typeof openRadioHost> =>
    openRadioHost({ adapter, modules, clock: systemClock, log: silentLogger });
  const settings = (): string[] =>
    execFileSync('stty', ['-a', '-F', beacon.path], { encoding: 'utf8' }).split(/[\s;]+/);

  it('is at 1 Mbaud with RTS/CTS really on, unless told otherwise, and raw', async () => {
    const usual = await host(beacon.adapter, { peripheral: PERIPHERAL });
    expect(settings()).toEqual(expect.arrayContaining(['1000000', 'crtscts', '-icanon', '-echo', '-ixon', '-opost']));
    await usual.close();
    const told = await host(`${beacon.adapter}?baud=115200&flow=none`, { peripheral: PERIPHERAL });
    expect(settings()).toEqual(expect.arrayContaining(['115200', '-crtscts']));
    await told.close();
  });

  it('that is pulled and plugged in again is found again, and what was done on it goes on when it is back', async () => {
    const peripheral = await host(beacon.adapter, { peripheral: PERIPHERAL });
    const central = await host(gateway.adapter, { central: CENTRAL });
    await peripheral.peripheral!.advertise(advertisement(0x7000, { intervalMs: 20 }));
    let heard = 0;
    await central.central!.scan(() => heard++);
    for (let round = 0; round < 5; round++) {
      for (const [dongle, radio] of [
        [beacon, peripheral],
        [gateway, central],
      ] as const) {
        await until(() => heard > 0, 20_000);
        await dongle.unplug();
        const pulled = performance.now();
        await until(() => radio.state !== 'up', 20_000);
        expect(performance.now() - pulled).toBeLessThan(5000);
        await dongle.plug();
        await until(() => radio.state === 'up', 30_000);
        heard = 0;
      }
    }
    await until(() => heard > 0, 20_000);
    await Promise.all([peripheral.close(), central.close()]);
  }, 180_000);

  it('is missed within a second, also when data was on the way just then', async () => {
    const places = { path: beacon.path, baud: 1_000_000, flowControl: true };
    for (let round = 0; round < 10; round++) {
      const port = await openSerialTransport(places);
      const closed = new Promise((resolve) => port.onClose(resolve));
      const answered = new Promise((resolve) => port.onPacket(resolve));
      port.write(command(Opcode.reset));
      await answered;
      const pulled = ownMs();
      await beacon.unplug();
      await closed;
      expect(ownMs() - pulled).toBeLessThan(3000);
      await beacon.plug();
    }
  });

  it('carries a conversation of two commands', async () => {
    const bench = new Bench();
    try {
      const tag = freshTag();
      const own = (name: string): string[] => ['-n', 'ble:', '--state', bench.path(name)];
      const publisher = bench.start(['publish', tag, ...own('a'), '--adapter', beacon.adapter, '--exec', 'tr a-z A-Z']);
      await publisher.says(/published/i);
      const answer = await bench.run(['respond', tag, ...own('b'), '--adapter', gateway.adapter, '-m', 'by cable']);
      expect([answer.code, answer.out.trim()]).toEqual([0, 'BY CABLE']);
    } finally {
      await bench.close();
    }
  });
});
