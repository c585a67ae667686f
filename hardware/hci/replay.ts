/**
 * A controller that is a recording: it says again what the recorded one said. The host's packets are the beat: what
 * the recorded host wrote before an answer, this host has to have written too before it gets that answer. So a host
 * of another pace still sees a conversation that makes sense.
 */
import { equalBytes } from '@rdv/protocol/core/bytes';
import type { Clock, Timer } from '@rdv/protocol/core/ports';
import type { BtsnoopRecord } from './btsnoop.js';
import { isH4Packet } from './h4.js';
import type { HciTransport } from './transport.js';

/** Packets that the host may write ahead of the recording. */
const AHEAD_MAX_PACKETS = 4096;

export interface ReplayOptions {
  /** Told of each packet of the host that is not what the recorded host wrote at that point. It counts all the same. */
  readonly onDifference?: (written: Uint8Array, recorded: Uint8Array) => void;
}

/**
 * Plays `records` (of `readBtsnoop`) to a host, beginning when it sets `onPacket`. Pauses are those of the recording,
 * on `clock`. At the end, and at a recorded packet that was not kept whole, the transport closes.
 *
 * @throws (within timers: as its closing reason) what reading the records throws
 */
export function replayHci(records: Iterable<BtsnoopRecord>, clock: Clock, options: ReplayOptions = {}): HciTransport {
  const rest = records[Symbol.iterator]();
  const ahead: Uint8Array[] = [];
  let packetListener: ((packet: Uint8Array) => void) | undefined;
  let closeListener: ((reason: string) => void) | undefined;
  let closed: string | undefined;
  let waiting: BtsnoopRecord | undefined;
  let timer: Timer | undefined;
  let previousMs: number | undefined;

  const close = (reason: string): void => {
    if (closed !== undefined) return;
    closed = reason;
    timer?.cancel();
    ahead.length = 0;
    rest.return?.();
    closeListener?.(reason);
  };

  const next = (): BtsnoopRecord | undefined => {
    try {
      const step = rest.next();
      if (!step.done) return step.value;
      close('the recording has ended');
    } catch (error) {
      close(error instanceof Error ? error.message : 'the recording cannot be read');
    }
    return undefined;
  };

  /** Takes the next record up after the pause that was before it. */
  const goOn = (): void => {
    const record = next();
    if (!record) return;
    const pauseMs = Math.max(0, record.atMs - (previousMs ?? record.atMs));
    previousMs = record.atMs;
    if (record.direction === 'to-controller') {
      waiting = record;
      take();
      return;
    }
    timer = clock.schedule(pauseMs, () => {
      if (!isH4Packet(record.packet)) return close('the recording did not keep this packet whole');
      packetListener?.(record.packet.slice());
      if (closed === undefined) goOn();
    });
  };

  /** The host's next packet for the recorded one that is waited for. */
  const take = (): void => {
    const written = waiting && ahead.shift();
    if (!waiting || !written) return;
    const recorded = waiting.packet;
    waiting = undefined;
    if (!equalBytes(written, recorded)) options.onDifference?.(written, recorded);
    // Not within `write`: a host is not ready for an answer before it returns.
    timer = clock.schedule(0, goOn);
  };

  return {
    write(packet) {
      if (closed !== undefined) return;
      if (ahead.length >= AHEAD_MAX_PACKETS) return close('the host wrote far more than the recorded one');
      ahead.push(Uint8Array.prototype.slice.call(packet));
      take();
    },
    onPacket(listener) {
      const first = packetListener === undefined;
      packetListener = listener;
      if (first && closed === undefined) timer = clock.schedule(0, goOn);
    },
    onClose(listener) {
      if (closed !== undefined) listener(closed);
      else closeListener = listener;
    },
    close: () => close('closed'),
  };
}
