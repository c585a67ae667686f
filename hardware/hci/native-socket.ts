/**
 * The kernel's HCI sockets, through the native addon of `@abandonware/bluetooth-hci-socket` (its one importer; it is
 * built on request and loaded when an adapter is opened). The user channel is the default: exclusive, and a
 * connection attempt that fails does so at once. On the raw channel, shared with the kernel, it can block the whole
 * process for 40 s, so that is the fallback where another program keeps the adapter up.
 *
 * The addon has no close, and an adapter is held until its descriptor is closed: that is found and closed here.
 */
import { closeSync, existsSync, readdirSync, readlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { equalBytes } from '@rdv/protocol/core/bytes';
import { RdvError } from '@rdv/protocol/core/errors';
import { answeredOpcode, answerStatus, command, Opcode, reversed } from './packets.js';
import type { HciTransport } from './transport.js';

/** What is used of the addon's class. */
export interface NativeSocket {
  bindUser(index: number): number;
  bindRaw(index: number): number;
  start(): void;
  stop(): void;
  isDevUp(): boolean;
  getDeviceList(): readonly { readonly devId: number | null; readonly devUp: boolean | null }[];
  write(packet: Buffer): void;
  setFilter(filter: Buffer): void;
  on(event: 'data', listener: (packet: Buffer) => void): unknown;
  on(event: 'error', listener: (error: NodeJS.ErrnoException) => void): unknown;
}

export type NativeSocketClass = new () => NativeSocket;

export interface NativeTransport {
  readonly transport: HciTransport;
  /** `raw`: shared with the kernel, do not reset. */
  readonly channel: 'user' | 'raw';
}

/** Everything from the controller: commands of others are not ours to see. */
const FILTER = Buffer.from('14000000ffffffffffffffff00000000', 'hex');
/** How long an adapter may take to tell its address. */
const ADDRESS_MS = 1000;
/** How often the kernel is asked whether the adapter is still there. */
const LOOK_MS = 500;
/** How long the kernel may take to set an adapter up, and how often it is tried. */
const SETTLING_MS = 5000;
const SETTLING_LOOK_MS = 100;
/** Write errors after which there is no adapter any more. */
const GONE: readonly string[] = ['ENODEV', 'ENETDOWN', 'EPIPE', 'EBADFD', 'ENXIO', 'EIO'];

/** The addon's class. Not by the package's main file, whose place the seam takes. @throws RdvError `adapter` */
export function loadNativeSocket(): NativeSocketClass {
  if (process.platform !== 'linux') {
    throw new RdvError('adapter', 'local adapters need Linux: use a serial: adapter, or virtual: for a trial');
  }
  try {
    return createRequire(import.meta.url)('@abandonware/bluetooth-hci-socket/lib/native') as NativeSocketClass;
  } catch (cause) {
    throw new RdvError('adapter', 'the Bluetooth addon is not built for this Node: run "rdv setup radio" once', {
      cause,
    });
  }
}

/**
 * Opens the adapter that the kernel calls `hci<index>`.
 * @throws RdvError `adapter`, saying what to do
 */
export function openNative(index: number, load: () => NativeSocketClass = loadNativeSocket): NativeTransport {
  const name = `hci${index}`;
  try {
    return { transport: started(bound(load, 'user', index, name), made(load), index), channel: 'user' };
  } catch (error) {
    // Another program keeps it up: bluetoothd does.
    if (!(error instanceof NativeError) || error.errno !== 'EBUSY') throw error;
  }
  return { transport: started(bound(load, 'raw', index, name), made(load), index), channel: 'raw' };
}

/**
 * `openNative`, once the kernel has set the adapter up: at boot, and after it was plugged in, it is in use and yet down.
 * @throws RdvError `adapter`
 */
export async function openNativeSoon(
  index: number,
  load: () => NativeSocketClass = loadNativeSocket,
): Promise<NativeTransport> {
  for (let waitedMs = 0; ; waitedMs += SETTLING_LOOK_MS) {
    try {
      return openNative(index, load);
    } catch (error) {
      const settling = error instanceof NativeError && error.errno === 'ENETDOWN';
      if (!settling || waitedMs >= SETTLING_MS) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, SETTLING_LOOK_MS));
  }
}

/**
 * Opens the adapter that has `address`.
 * @param address 6 bytes, most significant first
 * @throws RdvError `adapter`
 */
export async function openNativeByAddress(
  address: Uint8Array,
  load: () => NativeSocketClass = loadNativeSocket,
): Promise<NativeTransport> {
  const { socket, release } = made(load);
  const devices = socket.getDeviceList();
  release();
  let refused: unknown;
  for (const { devId } of devices) {
    if (devId === null) continue;
    let opened: NativeTransport;
    try {
      opened = openNative(devId, load);
    } catch (error) {
      refused = error;
      continue;
    }
    const found = await readAddress(opened.transport);
    if (found !== undefined && equalBytes(found, address)) return opened;
    opened.transport.close();
  }
  throw (
    refused ?? new RdvError('adapter', 'no adapter has that address: name it hci0, or see "ls /sys/class/bluetooth"')
  );
}

class NativeError extends RdvError {
  readonly errno: string;
  constructor(errno: string, message: string, cause: unknown) {
    super('adapter', message, { cause });
    this.errno = errno;
  }
}

/** A socket of the addon's, and how to let go of it. */
interface Made {
  readonly socket: NativeSocket;
  release(): void;
}

function made(load: () => NativeSocketClass): Made {
  const Native = load();
  const before = sockets();
  let socket: NativeSocket;
  try {
    socket = new Native();
  } catch (cause) {
    throw nativeError(cause, 'the adapter');
  }
  // No other code of ours ran meanwhile. More than one: somebody's thread opened one, too, and none is touched.
  const own = [...sockets()].filter((name) => !before.has(name));
  return {
    socket,
    release() {
      socket.stop();
      if (own.length === 1) closeSync(Number(own.pop()));
    },
  };
}

/** The descriptors of this process that are sockets. */
function sockets(): ReadonlySet<string> {
  const place = '/proc/self/fd';
  const isSocket = (name: string): boolean => {
    try {
      return readlinkSync(`${place}/${name}`).startsWith('socket:');
    } catch {
      return false;
    }
  };
  // Not on systems without /proc, which have no such sockets either.
  return new Set(existsSync(place) ? readdirSync(place).filter(isSocket) : []);
}

function bound(load: () => NativeSocketClass, channel: 'user' | 'raw', index: number, name: string): Made {
  const { socket, release } = made(load);
  try {
    if (channel === 'user') socket.bindUser(index);
    else socket.bindRaw(index);
  } catch (cause) {
    release();
    throw nativeError(cause, name);
  }
  if (channel === 'raw') {
    socket.setFilter(FILTER);
    if (!socket.isDevUp()) {
      release();
      throw new NativeError('ENETDOWN', `${name} is off: run "rfkill unblock bluetooth"`, undefined);
    }
  }
  return { socket, release };
}

/**
 * @param witness an unbound socket: the addon swallows the error that `socket` reads when its adapter is pulled out, and
 * spins on it, and the kernel answers no questions on a user channel
 */
function started({ socket, release }: Made, witness: Made, index: number): HciTransport {
  let onPacket: (packet: Uint8Array) => void = () => {};
  let onClose: (reason: string) => void = () => {};
  let ended: string | undefined;
  const end = (reason: string): void => {
    if (ended !== undefined) return;
    ended = reason;
    clearInterval(look);
    release();
    witness.release();
    onClose(reason);
  };
  const look = setInterval(() => {
    const up = witness.socket.getDeviceList().some(({ devId, devUp }) => devId === index && devUp === true);
    if (!up) end('the adapter is gone, or was switched off');
  }, LOOK_MS).unref();
  socket.on('data', (packet) => {
    if (ended === undefined) onPacket(new Uint8Array(packet));
  });
  socket.on('error', (error) => {
    if (GONE.includes(error.code ?? '')) end('the adapter is gone');
  });
  socket.start();
  return {
    write(packet) {
      if (ended === undefined) socket.write(Buffer.from(packet));
    },
    onPacket(listener) {
      onPacket = listener;
    },
    onClose(listener) {
      if (ended !== undefined) listener(ended);
      else onClose = listener;
    },
    close: () => end('closed'),
  };
}

function readAddress(transport: HciTransport): Promise<Uint8Array | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(undefined), ADDRESS_MS);
    transport.onPacket((packet) => {
      if (answeredOpcode(packet) !== Opcode.readAddress) return;
      clearTimeout(timer);
      resolve(answerStatus(packet) === 0 && packet.length >= 13 ? reversed(packet.subarray(7, 13)) : undefined);
    });
    transport.write(command(Opcode.readAddress));
  });
}

function nativeError(cause: unknown, name: string): NativeError {
  const errno = (cause as NodeJS.ErrnoException).code ?? '';
  const messages: Readonly<Record<string, string>> = {
    EAFNOSUPPORT: 'this kernel has no Bluetooth: run "modprobe bluetooth", or use a serial: or virtual: adapter',
    EPERM: `not allowed to open ${name}: give the process CAP_NET_RAW and CAP_NET_ADMIN (in a unit: AmbientCapabilities=)`,
    EACCES: `not allowed to open ${name}: give the process CAP_NET_RAW and CAP_NET_ADMIN (in a unit: AmbientCapabilities=)`,
    ENODEV: `there is no adapter ${name}: plug it in, or see which there are with "ls /sys/class/bluetooth"`,
    EBUSY: `${name} is in use by another program: run "systemctl stop bluetooth" if that is bluetoothd`,
    ERFKILL: `${name} is switched off: run "rfkill unblock bluetooth"`,
  };
  return new NativeError(errno, messages[errno] ?? `cannot open ${name} (${errno || 'no error code'})`, cause);
}
