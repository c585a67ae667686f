/**
 * Scanning and connecting by the central host, and their hidden pause: LE Set Random Address is refused while either
 * goes on (Core Vol 4 Part E §7.8.4). The host sees neither the pause nor the cancelled attempt, which is repeated.
 */
import { accepts, type Machine, step } from '@rdv/protocol/core/machine';
import { command, commandComplete, commandStatus, Opcode, putU16le, Status, u16le } from '../packets.js';
import { type Answer, type Job, send } from './command-queue.js';

export type InitiatorState = 'idle' | 'pending' | 'cancelling' | 'paused';
export type InitiatorEvent =
  | 'create'
  | 'connected'
  | 'failed'
  | 'pause'
  | 'canceled'
  | 'overdue'
  | 'repeat'
  | 'refused';
export type InitiatorEffect = 'tell';

export const initiatorMachine: Machine<InitiatorState, InitiatorEvent, InitiatorEffect> = {
  name: 'hci-initiator',
  initial: 'idle',
  final: [],
  table: {
    idle: { create: { to: 'pending', effects: [] } },
    pending: {
      connected: { to: 'idle', effects: ['tell'] },
      failed: { to: 'idle', effects: ['tell'] },
      pause: { to: 'cancelling', effects: [] },
    },
    cancelling: {
      // It connected, or failed for a reason of its own, just before the cancel: nothing to take up again.
      connected: { to: 'idle', effects: ['tell'] },
      failed: { to: 'idle', effects: ['tell'] },
      canceled: { to: 'paused', effects: [] },
      overdue: { to: 'paused', effects: [] },
    },
    paused: {
      repeat: { to: 'pending', effects: [] },
      refused: { to: 'idle', effects: ['tell'] },
    },
  },
};

/** How long a cancelled attempt may take to end. */
const CANCEL_MS = 500;
/** Parameter offsets in a command packet (Core Vol 4 Part E §7.8.10, §7.8.12). */
const SCAN_OWN_TYPE = 4 + 5;
const CREATE_OWN_TYPE = 4 + 12;
const CREATE_SUPERVISION = 4 + 19;

export interface CentralOptions {
  /** Use the random address. */
  readonly private: boolean;
  readonly minSupervisionMs: number;
  /** Resumes the queue's job that waits for an attempt to end. */
  readonly signal: () => void;
}

export class CentralActivity {
  readonly #options: CentralOptions;
  #initiator: InitiatorState = initiatorMachine.initial;
  #create: Uint8Array | undefined;
  #scan: Uint8Array | undefined;
  #scanPaused = false;
  #hiddenCancels = 0;

  constructor(options: CentralOptions) {
    this.#options = options;
  }

  get hiddenCancels(): number {
    return this.#hiddenCancels;
  }

  *setScanParameters(packet: Uint8Array): Job<Uint8Array> {
    if (packet.length !== 11) return commandComplete(Opcode.leSetScanParameters, 0x12);
    if (this.#options.private) packet[SCAN_OWN_TYPE] = 1;
    return (yield* send(packet)).packet;
  }

  *setScanEnable(packet: Uint8Array): Job<Uint8Array> {
    const on = packet[4] === 1;
    // Some controllers refuse to switch off what is off, and noble would wait for ever.
    if (!on && this.#scan === undefined) return commandComplete(Opcode.leSetScanEnable, Status.ok);
    const answer = yield* send(packet);
    if (answer.status === Status.ok) this.#scan = on ? packet : undefined;
    // The host takes it for off; what is late is not to begin behind its back.
    else if (on && answer.status === Status.unspecified) yield* send(command(Opcode.leSetScanEnable, [0, 0]));
    return answer.packet;
  }

  *create(packet: Uint8Array): Job<Uint8Array> {
    if (packet.length !== 29) return commandStatus(Opcode.leCreateConnection, 0x12);
    if (this.#initiator !== 'idle') return commandStatus(Opcode.leCreateConnection, Status.commandDisallowed);
    if (this.#options.private) packet[CREATE_OWN_TYPE] = 1;
    const supervision = Math.max(u16le(packet, CREATE_SUPERVISION), Math.ceil(this.#options.minSupervisionMs / 10));
    putU16le(packet, CREATE_SUPERVISION, supervision);
    const answer = yield* send(packet);
    if (answer.status === Status.ok) {
      this.#create = packet;
      this.#move('create');
      // The host takes it for failed; an attempt that nobody ends would keep every later one away.
    } else if (answer.status === Status.unspecified) yield* send(command(Opcode.leCreateConnectionCancel));
    return answer.packet;
  }

  *cancel(): Job<Uint8Array> {
    if (this.#initiator !== 'pending')
      return commandComplete(Opcode.leCreateConnectionCancel, Status.commandDisallowed);
    return (yield* send(command(Opcode.leCreateConnectionCancel))).packet;
  }

  /**
   * A Connection Complete of the central role or of a failed attempt. @returns whether the host is to be told, or not
   * to be, or the event is of no attempt that was made here
   */
  attemptEnded(status: number): 'tell' | 'hidden' | 'stray' {
    const hidden = status === Status.unknownConnection && this.#initiator === 'cancelling';
    const event = hidden ? 'canceled' : status === Status.ok ? 'connected' : 'failed';
    if (!accepts(initiatorMachine, this.#initiator, event)) return 'stray';
    const waited = this.#initiator === 'cancelling';
    const tell = this.#move(event);
    if (waited) this.#options.signal();
    return tell ? 'tell' : 'hidden';
  }

  /** Stops both, unseen by the host. */
  *pause(): Job<void> {
    if (this.#scan !== undefined) {
      yield* send(command(Opcode.leSetScanEnable, [0, 0]));
      this.#scanPaused = true;
    }
    if (this.#initiator !== 'pending') return;
    this.#move('pause');
    this.#hiddenCancels++;
    yield* send(command(Opcode.leCreateConnectionCancel));
    // The end of the attempt may have come before the answer, or may still come after a refusal.
    if (this.#state() === 'cancelling') yield { signalWithinMs: CANCEL_MS };
    if (this.#state() === 'cancelling') this.#move('overdue');
  }

  /** Takes both up again. @returns the status of a repeated attempt that was refused, else undefined. */
  *resume(): Job<number | undefined> {
    if (this.#scanPaused && this.#scan !== undefined) yield* send(this.#scan);
    this.#scanPaused = false;
    if (this.#initiator !== 'paused' || this.#create === undefined) return undefined;
    const answer: Answer = yield* send(this.#create);
    if (answer.status === Status.ok) {
      this.#move('repeat');
      return undefined;
    }
    this.#move('refused');
    return answer.status;
  }

  /** Ends both, for good. */
  *stop(): Job<void> {
    if (this.#scan !== undefined) yield* send(command(Opcode.leSetScanEnable, [0, 0]));
    this.#scan = undefined;
    if (this.#initiator === 'pending') yield* send(command(Opcode.leCreateConnectionCancel));
  }

  /** The peer address and type of the attempt, as in its command: 7 bytes. */
  get peer(): Uint8Array {
    return this.#create?.slice(9, 16) ?? new Uint8Array(7);
  }

  // Read through a call: the state changes across a yield, which narrowing does not see.
  #state(): InitiatorState {
    return this.#initiator;
  }

  #move(event: InitiatorEvent): boolean {
    const { to, effects } = step(initiatorMachine, this.#initiator, event);
    this.#initiator = to;
    return effects.includes('tell');
  }
}
