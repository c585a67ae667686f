/**
 * Records what passes between a host and its controller as a btsnoop file, to be looked at with Wireshark or played
 * again with `replay.ts`.
 *
 * A recording is no log: it holds device addresses and everything that went over the air. It is made on request
 * only, and whoever has it has those.
 */
import { InvalidArgumentError } from '@rdv/protocol/core/errors';
import type { Clock } from '@rdv/protocol/core/ports';
import {
  BTSNOOP_HEADER_BYTES,
  BTSNOOP_RECORD_HEADER_BYTES,
  type BtsnoopRecord,
  encodeBtsnoopHeader,
  encodeBtsnoopRecord,
} from './btsnoop.js';
import type { HciTransport } from './transport.js';

/** Where a recording ends by default: 256 MiB, hours of scanning in a crowd. */
const MAX_BYTES: number = 256 * 1024 * 1024;

export interface RecordOptions {
  /** The recording grows no further than this; what would not fit is counted as dropped. Default 256 MiB. */
  readonly maxBytes?: number;
}

/**
 * `transport`, with every packet recorded in the order in which it passes.
 * @param sink takes the bytes of the file piece by piece, the header at once; they are its own. What it throws ends
 *   the recording and not the transport.
 * @throws InvalidArgumentError
 * @example
 * const file = createWriteStream('hci0.btsnoop', { mode: 0o600 });
 * const recorded = recordHci(transport, (bytes) => file.write(bytes), systemClock);
 */
export function recordHci(
  transport: HciTransport,
  sink: (bytes: Uint8Array) => void,
  clock: Clock,
  options: RecordOptions = {},
): HciTransport {
  const maxBytes = options.maxBytes ?? MAX_BYTES;
  if (!(maxBytes >= BTSNOOP_HEADER_BYTES)) {
    throw new InvalidArgumentError(`"maxBytes" expected ${BTSNOOP_HEADER_BYTES} or more, got ${maxBytes}`);
  }
  let written = 0;
  let dropped = 0;
  let broken = false;
  const put = (bytes: Uint8Array): void => {
    written += bytes.length;
    try {
      sink(bytes);
    } catch {
      // A full disk must not take the radio down.
      broken = true;
    }
  };
  const keep = (direction: BtsnoopRecord['direction'], packet: Uint8Array): void => {
    if (broken) return;
    if (written + BTSNOOP_RECORD_HEADER_BYTES + packet.length > maxBytes) dropped++;
    else put(encodeBtsnoopRecord(direction, packet, clock.now(), dropped));
  };
  put(encodeBtsnoopHeader());
  return {
    write(packet) {
      // First, so that the answer of a transport that answers at once comes after the question.
      keep('to-controller', packet);
      transport.write(packet);
    },
    onPacket(listener) {
      transport.onPacket((packet) => {
        keep('from-controller', packet);
        listener(packet);
      });
    },
    onClose: (listener) => transport.onClose(listener),
    close: () => transport.close(),
  };
}
