/**
 * Serial ports: of controllers that speak H4 (a dongle with Zephyr's `hci_uart`, say), and of boards that speak the
 * companion protocol. The one importer of `serialport`, which is loaded when a port is opened or the list is asked for.
 */

import { stat } from 'node:fs/promises';
import type { Duplex } from 'node:stream';
import { RdvError } from '@rdv/protocol/core/errors';
import { streamTransport } from './stream-transport.js';
import type { HciTransport } from './transport.js';

/** How often the device is looked for. */
const LOOK_MS = 500;

export interface SerialPlace {
  /** Device, `/dev/ttyACM0`. */
  readonly path: string;
  /** Bits per second; of no meaning to USB devices. */
  readonly baud: number;
  /** RTS/CTS, which H4 needs on a real UART (Core Vol 4 Part A §3). */
  readonly flowControl: boolean;
}

/** An open port. `close` must be awaited before it can be opened anew. */
export interface SerialStream extends Duplex {
  readonly isOpen: boolean;
  close(done: (error: Error | null) => void): void;
}

/** A port that the system knows. USB ids are 4 hex digits. */
export interface SerialPortInfo {
  readonly path: string;
  readonly manufacturer?: string | undefined;
  readonly serialNumber?: string | undefined;
  readonly vendorId?: string | undefined;
  readonly productId?: string | undefined;
  /** A name that stays the same when others are plugged in, where the system has one. */
  readonly lasting?: string | undefined;
}

async function library(): Promise<typeof import('serialport')> {
  return import('serialport').catch((cause: unknown) => {
    throw new RdvError('adapter', 'serial ports cannot be used on this machine: the serialport package does not load', {
      cause,
    });
  });
}

/** A fresh port each time: one that vanished cannot be opened again. @throws RdvError `adapter` */
export async function openSerialPort(place: SerialPlace): Promise<SerialStream> {
  const { SerialPort } = await library();
  const port = new SerialPort({
    path: place.path,
    baudRate: place.baud,
    rtscts: place.flowControl,
    autoOpen: false,
  });
  await new Promise<void>((resolve, reject) => {
    port.open((cause) => (cause ? reject(openError(place.path, cause)) : resolve()));
  });
  return port;
}

/** @throws RdvError `adapter` */
export async function openSerialTransport(place: SerialPlace): Promise<HciTransport> {
  const port = await openSerialPort(place);
  const gone = new AbortController();
  const transport = streamTransport(port, gone.signal);
  const look = await missing(place.path, () => gone.abort());
  port.once('close', () => clearInterval(look));
  return transport;
}

/**
 * Calls `report` once when `path` is no longer the device that it is now. The port itself misses half of all hang-ups
 * that come with data on the way, and spins then (bindings-cpp issue 162).
 */
async function missing(path: string, report: () => void): Promise<NodeJS.Timeout | undefined> {
  const identity = (): Promise<string> => stat(path).then(({ dev, ino, rdev }) => `${dev} ${ino} ${rdev}`);
  const opened = await identity().catch(() => undefined);
  // Not every system has its ports among the files.
  if (opened === undefined) return undefined;
  const look = setInterval(async () => {
    if ((await identity().catch(() => '')) === opened) return;
    clearInterval(look);
    report();
  }, LOOK_MS);
  return look.unref();
}

/**
 * The ports that the system knows. Pseudo-terminals and links such as /dev/serial/by-id are never among them.
 * @throws RdvError `unsupported` where the system cannot say
 */
export async function listSerialPorts(): Promise<readonly SerialPortInfo[]> {
  const { SerialPort } = await library();
  try {
    const ports = await SerialPort.list();
    return ports.map(({ path, manufacturer, serialNumber, vendorId, productId, pnpId }) => ({
      path,
      manufacturer,
      serialNumber,
      vendorId,
      productId,
      lasting: process.platform === 'linux' && pnpId ? `/dev/serial/by-id/${pnpId}` : undefined,
    }));
  } catch (cause) {
    // On Linux it runs udevadm.
    throw new RdvError('unsupported', 'this system does not list its serial ports: install udev, or name the port', {
      cause,
    });
  }
}

function openError(path: string, cause: Error): RdvError {
  const said = cause.message;
  const [what, hint] = /no such file|ENOENT|cannot find/i.test(said)
    ? ['there is no serial port', 'plug the device in, or look for it under /dev']
    : /permission|EACCES|access denied/i.test(said)
      ? ['not allowed to open the serial port', 'add this user to the group that owns it (often "dialout")']
      : /lock|busy|EBUSY/i.test(said)
        ? ['another program has the serial port', 'end that program']
        : ['cannot open the serial port', 'replug the device'];
  return new RdvError('adapter', `${what} ${path}: ${hint}`, { cause });
}
