/** A board's serial port (COMPANION.md §1): 115,200 baud 8N1, no flow control of any kind. */
import { openSerialPort } from '../hci/serial-port.js';
import type { BytePipe } from './pipe.js';

const BAUD = 115_200;

/** @param path device, `/dev/ttyACM0`. @throws RdvError `adapter`, saying what to do */
export async function openSerialPipe(path: string): Promise<BytePipe> {
  const port = await openSerialPort({ path, baud: BAUD, flowControl: false });
  let onData: (chunk: Uint8Array) => void = () => {};
  let onClose: (reason: string) => void = () => {};
  let ended: string | undefined;
  const end = (reason: string): void => {
    if (ended !== undefined) return;
    ended = reason;
    onClose(reason);
  };
  port.on('data', (chunk: Uint8Array) => onData(chunk));
  port.on('error', () => end('the serial port broke: was the board unplugged?'));
  port.on('close', () => end('the serial port is gone: was the board unplugged?'));
  return {
    write(bytes) {
      if (ended === undefined) port.write(new Uint8Array(bytes));
    },
    onData(listener) {
      onData = listener;
    },
    onClose(listener) {
      if (ended !== undefined) listener(ended);
      else onClose = listener;
    },
    close() {
      end('closed');
      return new Promise((resolve) => {
        if (port.isOpen) port.close(() => resolve());
        else resolve();
      });
    },
  };
}
