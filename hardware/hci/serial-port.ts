/**
 * A controller on a serial port that speaks H4: a dongle with Zephyr's `hci_uart`, say. The one importer of
 * `serialport`, which is loaded when a port is opened.
 */
import { RdvError } from '@rdv/protocol/core/errors';
import { streamTransport } from './stream-transport.js';
import type { HciTransport } from './transport.js';

export interface SerialPlace {
  /** Device, `/dev/ttyACM0`. */
  readonly path: string;
  /** Bits per second; of no meaning to USB devices. */
  readonly baud: number;
  /** RTS/CTS, which H4 needs on a real UART (Core Vol 4 Part A §3). */
  readonly flowControl: boolean;
}

/** @throws RdvError `adapter` */
export async function openSerialTransport(place: SerialPlace): Promise<HciTransport> {
  const { SerialPort } = await import('serialport').catch((cause: unknown) => {
    throw new RdvError('adapter', 'serial ports cannot be used on this machine: the serialport package does not load', {
      cause,
    });
  });
  const port = new SerialPort({
    path: place.path,
    baudRate: place.baud,
    rtscts: place.flowControl,
    autoOpen: false,
  });
  await new Promise<void>((resolve, reject) => {
    port.open((cause) => (cause ? reject(openError(place.path, cause)) : resolve()));
  });
  return streamTransport(port);
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
