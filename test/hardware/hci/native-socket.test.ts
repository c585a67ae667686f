import { EventEmitter } from 'node:events';
import {
  loadNativeSocket,
  type NativeSocket,
  openNative,
  openNativeByAddress,
  openNativeSoon,
} from '@rdv/hardware/hci/native-socket';
import { commandComplete, Opcode } from '@rdv/hardware/hci/packets';
import { RdvError } from '@rdv/protocol/core/errors';
import { afterEach, describe, expect, it, vi } from 'vitest';

/** The kernel as far as the addon shows it. */
const kernel = { family: true, rights: true, busy: new Set<number>(), down: new Set<number>(), adapters: [0, 1] };
afterEach(() => {
  Object.assign(kernel, { family: true, rights: true, busy: new Set(), down: new Set(), adapters: [0, 1] });
});

const failure = (code: string): Error => Object.assign(new Error(code), { code, syscall: 'bind' });

class FakeSocket extends EventEmitter implements NativeSocket {
  index = -1;
  channel = 'raw';
  stopped = false;
  constructor() {
    super();
    if (!kernel.family) throw failure('EAFNOSUPPORT');
  }
  #bind(index: number): number {
    if (!kernel.rights) throw failure('EPERM');
    if (!kernel.adapters.includes(index)) throw failure('ENODEV');
    this.index = index;
    return index;
  }
  bindUser(index: number): number {
    this.channel = 'user';
    this.#bind(index);
    if (kernel.busy.has(index)) throw failure('EBUSY');
    return index;
  }
  bindRaw(index: number): number {
    return this.#bind(index);
  }
  start(): void {}
  stop(): void {
    this.stopped = true;
  }
  isDevUp(): boolean {
    // The kernel answers such questions on raw sockets alone.
    if (this.channel === 'user') return false;
    return !kernel.down.has(this.index);
  }
  getDeviceList(): { devId: number; devUp: boolean }[] {
    if (this.channel === 'user') return [];
    return kernel.adapters.map((devId) => ({ devId, devUp: !kernel.down.has(devId) }));
  }
  setFilter(): void {}
  write(): void {
    const address = [0x10 + this.index, 5, 4, 3, 2, 1];
    queueMicrotask(() => this.emit('data', Buffer.from(commandComplete(Opcode.readAddress, 0, address))));
  }
}
const load = (): typeof FakeSocket => FakeSocket;
const thrown = (run: () => unknown): RdvError => {
  try {
    run();
  } catch (error) {
    return error as RdvError;
  }
  throw new Error('nothing was thrown');
};

describe('native adapters', () => {
  it('takes the user channel, and the raw one where another program keeps the adapter up', () => {
    expect(openNative(0, load).channel).toBe('user');
    kernel.busy.add(0);
    expect(openNative(0, load).channel).toBe('raw');
  });

  it('waits for an adapter that the kernel is still setting up, and not for ever', async () => {
    vi.useFakeTimers();
    try {
      kernel.busy.add(0);
      kernel.down.add(0);
      const opened = openNativeSoon(0, load);
      await vi.advanceTimersByTimeAsync(1000);
      kernel.busy.clear();
      kernel.down.clear();
      await vi.advanceTimersByTimeAsync(200);
      expect((await opened).channel).toBe('user');
      kernel.busy.add(1);
      kernel.down.add(1);
      const refused = expect(openNativeSoon(1, load)).rejects.toMatchObject({ code: 'adapter' });
      await vi.advanceTimersByTimeAsync(10_000);
      await refused;
    } finally {
      vi.useRealTimers();
    }
  });

  it('finds an adapter by its address', async () => {
    const { transport } = await openNativeByAddress(Uint8Array.of(1, 2, 3, 4, 5, 0x11), load);
    transport.close();
    await expect(openNativeByAddress(new Uint8Array(6), load)).rejects.toMatchObject({
      code: 'adapter',
      message: expect.stringContaining('no adapter has that address'),
    });
  });

  it.each([
    [() => Object.assign(kernel, { family: false }), 'this kernel has no Bluetooth'],
    [() => Object.assign(kernel, { rights: false }), 'CAP_NET_RAW and CAP_NET_ADMIN'],
    [() => Object.assign(kernel, { adapters: [] }), 'there is no adapter hci0'],
    [() => kernel.busy.add(0) && kernel.down.add(0), 'rfkill unblock bluetooth'],
  ])('says what is wrong and what to do (%#)', (spoil, message) => {
    spoil();
    const error = thrown(() => openNative(0, load));
    expect(error).toBeInstanceOf(RdvError);
    expect(error.code).toBe('adapter');
    expect(error.message).toContain(message);
  });

  it('ends with the adapter', () => {
    let socket: FakeSocket | undefined;
    const { transport } = openNative(
      0,
      () =>
        class extends FakeSocket {
          constructor() {
            super();
            // The first one is bound, the second one watches.
            socket ??= this;
          }
        },
    );
    const reasons: string[] = [];
    transport.onClose((reason) => reasons.push(reason));
    socket!.emit('error', failure('EINTR'));
    expect(reasons).toEqual([]);
    socket!.emit('error', failure('ENODEV'));
    expect(reasons).toEqual(['the adapter is gone']);
    expect(socket!.stopped).toBe(true);
  });

  it('notices an adapter that was pulled out or switched off while nothing is written', () => {
    vi.useFakeTimers();
    try {
      const reasons: string[] = [];
      openNative(0, load).transport.onClose((reason) => reasons.push(reason));
      vi.advanceTimersByTime(5000);
      expect(reasons).toEqual([]);
      kernel.down.add(0);
      vi.advanceTimersByTime(1000);
      expect(reasons).toEqual(['the adapter is gone, or was switched off']);
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });

  it('names the command that builds the addon where it is not built', () => {
    let Native: unknown;
    try {
      Native = loadNativeSocket();
    } catch (error) {
      expect(error).toMatchObject({ code: 'adapter' });
      expect((error as Error).message).toMatch(process.platform === 'linux' ? /rdv setup radio/ : /need Linux/);
      return;
    }
    // Built here: it must be the real class then, not the seam's.
    expect(typeof Native).toBe('function');
  });
});
