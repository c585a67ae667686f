import { createRequire } from 'node:module';
import { addAdapter, removeAdapter } from '@rdv/hardware/hci/adapters';
import { commandComplete, Opcode, u16le } from '@rdv/hardware/hci/packets';
import { installSeam, requireFresh } from '@rdv/hardware/hci/seam';
import type { HciTransport } from '@rdv/hardware/hci/transport';
import { VendorSocket, withAdapter } from '@rdv/hardware/hci/vendor-socket';
import { afterEach, describe, expect, it, vi } from 'vitest';

interface Stack {
  state: string;
  on(event: 'stateChange', listener: (state: string) => void): void;
}

/** A controller that answers the stacks' start commands, and nothing else. */
class Answering implements HciTransport {
  readonly written: number[] = [];
  closed = false;
  #deliver: (packet: Uint8Array) => void = () => {};
  #close: (reason: string) => void = () => {};

  write(packet: Uint8Array): void {
    const opcode = u16le(packet, 1);
    this.written.push(opcode);
    const returned: Record<number, number[]> = {
      [Opcode.readLocalVersion]: [9, 0, 0, 9, 0xff, 0xff, 0, 0],
      [Opcode.readAddress]: [6, 5, 4, 3, 2, 1],
      [Opcode.leReadBufferSize]: [251, 0, 8],
      [Opcode.readLeHostSupport]: [1, 0],
    };
    queueMicrotask(() => this.#deliver(commandComplete(opcode, 0, returned[opcode] ?? [])));
  }
  onPacket(listener: (packet: Uint8Array) => void): void {
    this.#deliver = listener;
  }
  onClose(listener: (reason: string) => void): void {
    this.#close = listener;
  }
  close(): void {
    this.closed = true;
    this.#close('closed');
  }
  raw(packet: Uint8Array): void {
    this.#deliver(packet);
  }
}

installSeam(import.meta.url);
const require = createRequire(import.meta.url);
const bleno = (adapterId: number): Stack =>
  withAdapter({ adapterId }, () => requireFresh(import.meta.url, '@abandonware/bleno')) as Stack;
const noble = (adapterId: number): Stack =>
  withAdapter({ adapterId }, () => require('@abandonware/noble/with-custom-binding')({})) as Stack;
const poweredOn = (stack: Stack): Promise<void> =>
  new Promise((resolve) => stack.on('stateChange', (state) => state === 'poweredOn' && resolve()));

afterEach(() => {
  for (const id of [1, 2, 3]) removeAdapter(id);
  vi.unstubAllEnvs();
});

describe('seam', () => {
  it('carries several unpatched stacks in one process, each on its own adapter', async () => {
    const controllers = [new Answering(), new Answering(), new Answering()];
    controllers.forEach((controller, i) => {
      addAdapter(i + 1, controller);
    });
    const stacks = [bleno(1), bleno(2), noble(3)];
    await Promise.all(stacks.map(poweredOn));
    expect(controllers.every((controller) => controller.written.includes(Opcode.leReadBufferSize))).toBe(true);
    expect(controllers[0]!.written).toContain(Opcode.leSetAdvertisingParameters);
    expect(controllers[2]!.written).toContain(Opcode.leSetScanParameters);
  });

  it('takes the stacks’ SIGINT and exit listeners off the process', async () => {
    const before = [process.listenerCount('SIGINT'), process.listenerCount('exit')];
    addAdapter(1, new Answering());
    addAdapter(2, new Answering());
    await Promise.all([bleno(1), noble(2)].map(poweredOn));
    expect([process.listenerCount('SIGINT'), process.listenerCount('exit')]).toEqual(before);
  });

  it('keeps the stacks’ poll timers from holding the process, and ends them with the adapter', async () => {
    const held = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
    const before = held();
    addAdapter(1, new Answering());
    addAdapter(2, new Answering());
    const stacks = [bleno(1), noble(2)];
    await Promise.all(stacks.map(poweredOn));
    // Those of the test's runner come and go meanwhile: all but what stays for ever has gone in two seconds.
    const end = performance.now() + 2000;
    while (held() > before && performance.now() < end) await new Promise((resolve) => setImmediate(resolve));
    expect(held()).toBeLessThanOrEqual(before);
    const off = stacks.map((s) => new Promise<void>((r) => s.on('stateChange', (x) => x === 'poweredOff' && r())));
    removeAdapter(1);
    removeAdapter(2);
    // The last poll of each stack is due within a second; a held timer waits for it.
    const hold = setTimeout(() => {}, 5000);
    await Promise.all(off);
    clearTimeout(hold);
  });

  it('supplies the LE Read Buffer Size that noble forgets on a user channel', async () => {
    vi.stubEnv('HCI_CHANNEL_USER', '1');
    const controller = new Answering();
    addAdapter(1, controller);
    const stack = noble(1);
    await poweredOn(stack);
    await vi.waitFor(() => expect(controller.written).toContain(Opcode.leReadBufferSize), { timeout: 30_000 });
    expect(controller.written[0]).toBe(Opcode.reset);
  });

  it('reports a stack that throws on a malformed packet instead of letting it through', async () => {
    const faults: unknown[] = [];
    const controller = new Answering();
    addAdapter(1, controller, { onFault: (error) => faults.push(error) });
    await poweredOn(bleno(1));
    controller.raw(Uint8Array.of(0x04, 0x05, 0x01, 0x00));
    expect(faults).toHaveLength(1);
  });

  it('filters as the kernel socket does, and shows other sockets’ commands', () => {
    addAdapter(1, new Answering());
    const [a, b] = withAdapter({ adapterId: 1 }, () => [new VendorSocket(), new VendorSocket()]);
    const seen: number[] = [];
    b!.on('data', (packet: Buffer) => seen.push(packet[0]!));
    for (const socket of [a!, b!]) {
      socket.bindRaw();
      socket.start();
    }
    a!.write(Uint8Array.of(1, 3, 0x0c, 0));
    expect(seen).toEqual([1]);
    b!.setFilter(Uint8Array.of(1 << 4, 0, 0, 0, 1 << 5, 0, 0, 0, 0, 0, 0, 0, 0, 0));
    a!.write(Uint8Array.of(1, 3, 0x0c, 0));
    b!.deliver(Uint8Array.of(4, 0x0e, 0));
    expect(seen).toEqual([1]);
    b!.deliver(Uint8Array.of(4, 0x05, 0));
    expect(seen).toEqual([1, 4]);
  });

  it('names what is wrong with an adapter', () => {
    addAdapter(1, new Answering());
    expect(() => addAdapter(1, new Answering())).toThrow('"id" 1 is registered already');
    expect(() => addAdapter(-1, new Answering())).toThrow('"id" expected');
    expect(() => withAdapter({ adapterId: 9 }, () => 0)).toThrow('no adapter 9 is registered');
    expect(() => requireFresh(import.meta.url, 'other')).toThrow('"stack" expected one of');
  });
});
