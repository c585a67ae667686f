import { createRequire } from 'node:module';
import type { Noble, NoblePeripheral } from '@rdv/gateway/radio/noble-api';
import { NobleMemory, nobleId } from '@rdv/gateway/radio/noble-memory';
import { addAdapter, removeAdapter } from '@rdv/hardware/hci/adapters';
import { installSeam } from '@rdv/hardware/hci/seam';
import type { HciTransport } from '@rdv/hardware/hci/transport';
import { withAdapter } from '@rdv/hardware/hci/vendor-socket';
import { afterAll, describe, expect, it } from 'vitest';

const ADAPTER = 61_000;
const FROM = import.meta.resolve('@rdv/gateway/radio/noble-central');

/** A controller that says whatever it is told to. */
class Wire implements HciTransport {
  deliver: (packet: Uint8Array) => void = () => {};
  write(packet: Uint8Array): void {
    const opcode = [packet[1]!, packet[2]!];
    if (packet[0] === 1)
      queueMicrotask(() => this.deliver(Uint8Array.of(4, 0x0e, 12, 1, ...opcode, 0, 9, 9, 9, 9, 9, 9, 9, 9)));
  }
  onPacket(listener: (packet: Uint8Array) => void): void {
    this.deliver = listener;
  }
  onClose(): void {}
  close(): void {}
}

const address = (n: number): string =>
  `41:00:00:${[16, 8, 0].map((bits) => ((n >> bits) & 0xff).toString(16).padStart(2, '0')).join(':')}`;
const report = (n: number): Uint8Array =>
  Uint8Array.of(4, 0x3e, 15, 2, 1, 0, 1, n & 0xff, (n >> 8) & 0xff, (n >> 16) & 0xff, 0, 0, 0x41, 3, 2, 1, 6, 0xc4);

describe("noble's memory", () => {
  const wire = new Wire();
  installSeam(FROM);
  addAdapter(ADAPTER, wire);
  process.env['NOBLE_REPORT_ALL_HCI_EVENTS'] = '1';
  const noble = withAdapter({ adapterId: ADAPTER }, () => {
    const create = createRequire(FROM)('@abandonware/noble/with-custom-binding') as (options: object) => Noble;
    return create({ deviceId: ADAPTER });
  });
  afterAll(() => removeAdapter(ADAPTER));

  it('stays within its bound in every map, however many devices pass by; those in use stay', async () => {
    const memory = new NobleMemory(noble, 100);
    let heard = 0;
    noble.on('discover', (peripheral: NoblePeripheral) => {
      heard++;
      memory.heard(peripheral.id, peripheral.address);
    });
    await new Promise<void>((resolve) => noble.on('stateChange', (state) => state === 'poweredOn' && resolve()));
    noble.startScanning([], true);
    const pinned = memory.pin({ address: address(3), type: 'random' });
    for (let n = 0; n < 5000; n++) wire.deliver(report(n));
    expect(heard).toBeGreaterThan(4900);
    expect(memory.size).toBeLessThanOrEqual(101);
    const internals = noble as unknown as Record<string, object> & { _bindings: Record<string, object> };
    const sizes = [internals, internals._bindings, internals._bindings['_gap'] as Record<string, object>].flatMap(
      (part) =>
        Object.entries(part)
          .filter(
            ([name, value]) =>
              name !== '_events' && value !== null && Object.getPrototypeOf(value) === Object.prototype,
          )
          .map(([name, value]) => [name, Object.keys(value).length] as const),
    );
    expect(sizes.length).toBeGreaterThan(8);
    // Whatever map of noble's grows with the number of devices is found here, also one that a new version adds.
    for (const [name, size] of sizes) expect(size, name).toBeLessThanOrEqual(101);
    expect(memory.pin({ address: address(3), type: 'random' })).toBe(pinned);
    expect(pinned.id).toBe(nobleId(address(3)));
    memory.unpin(pinned);
    for (let n = 6000; n < 6200; n++) wire.deliver(report(n));
    expect(memory.pin({ address: address(3), type: 'random' })).not.toBe(pinned);
  });

  it('refuses a noble that is built otherwise', () => {
    expect(() => new NobleMemory({} as Noble)).toThrow('locked');
  });
});
