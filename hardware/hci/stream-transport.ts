/** H4 over a byte stream in both directions: a socket or a serial port (Core Vol 4 Part A). */
import type { Duplex } from 'node:stream';
import { H4Splitter } from './h4.js';
import type { HciTransport } from './transport.js';

/** What the controller may leave unread before it counts as gone. */
const UNREAD_MAX_BYTES: number = 1024 * 1024;

/**
 * The transport over `stream`, which is open and belongs to it from here on.
 * @param gone aborted when the device is gone, where the stream itself may not notice
 */
export function streamTransport(stream: Duplex, gone?: AbortSignal): HciTransport {
  let onPacket: (packet: Uint8Array) => void = () => {};
  let onClose: (reason: string) => void = () => {};
  let ended: string | undefined;
  const end = (reason: string): void => {
    if (ended !== undefined) return;
    ended = reason;
    stream.destroy();
    onClose(reason);
  };
  const splitter = new H4Splitter((packet) => onPacket(packet));
  stream.on('data', (chunk: Uint8Array) => {
    try {
      splitter.push(chunk);
    } catch {
      // Bytes that are not H4 have no boundaries to go on from.
      end('the controller does not speak H4');
    }
  });
  stream.on('error', () => end('the connection to the controller broke'));
  stream.on('close', () => end('the controller closed the connection'));
  gone?.addEventListener('abort', () => end('the device is gone'), { once: true });
  return {
    write(packet) {
      if (ended !== undefined) return;
      stream.write(packet.slice());
      if (stream.writableLength > UNREAD_MAX_BYTES) end('the controller does not read');
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
