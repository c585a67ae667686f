/**
 * Commands to the controller, one in flight (Core Vol 4 Part E §4.4), in jobs that nothing gets between. A job is a
 * generator that yields commands and is resumed inside the handler of the answering event: what it writes down is
 * true before the next packet of the same chunk is read. A connection may follow an answer that closely.
 */
import { RdvError, toRdvError } from '@rdv/protocol/core/errors';
import { accepts, type Machine, step } from '@rdv/protocol/core/machine';
import type { Clock, Timer } from '@rdv/protocol/core/ports';
import { answeredOpcode, answerStatus, commandStatus, Status, u16le } from '../packets.js';

/** What a job waits for: the answer to a command, or a `signal`. */
export type JobStep = { readonly command: Uint8Array } | { readonly signalWithinMs: number };

/** What a job is resumed with. Without an answer in time the status is 0x1f, after a missed signal too. */
export interface Answer {
  readonly status: number;
  readonly packet: Uint8Array;
}

export type Job<T> = Generator<JobStep, T, Answer>;

export type QueueState = 'idle' | 'commanding' | 'waiting' | 'closed';
export type QueueEvent = 'command' | 'wait' | 'answer' | 'signal' | 'overdue' | 'close';
export type QueueEffect = 'write' | 'arm' | 'disarm' | 'count' | 'reject';

export const commandQueueMachine: Machine<QueueState, QueueEvent, QueueEffect> = {
  name: 'hci-commands',
  initial: 'idle',
  final: ['closed'],
  table: {
    idle: {
      command: { to: 'commanding', effects: ['arm', 'write'] },
      wait: { to: 'waiting', effects: ['arm'] },
      close: { to: 'closed', effects: ['reject'] },
    },
    commanding: {
      answer: { to: 'idle', effects: ['disarm'] },
      overdue: { to: 'idle', effects: ['count'] },
      close: { to: 'closed', effects: ['disarm', 'reject'] },
    },
    waiting: {
      signal: { to: 'idle', effects: ['disarm'] },
      overdue: { to: 'idle', effects: [] },
      close: { to: 'closed', effects: ['disarm', 'reject'] },
    },
    closed: {},
  },
};

/** A timer that is so late says that this process stood still: the answer may lie unread, and has so much longer. */
const STALL_MS = 50;
const AFTER_STALL_MS = 250;

/** A controller that leaves this many commands in a row unanswered is gone. */
const SILENT_AFTER = 3;

interface Pending {
  readonly job: Job<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: RdvError) => void;
}

export interface QueueOptions {
  readonly clock: Clock;
  readonly deadlineMs: number;
  readonly write: (packet: Uint8Array) => void;
  /** Three commands in a row had no answer. */
  readonly onSilent: () => void;
}

export class CommandQueue {
  readonly #options: QueueOptions;
  #state: QueueState = commandQueueMachine.initial;
  #line: Pending[] = [];
  #current: Pending | undefined;
  #opcode = 0;
  #timer: Timer | undefined;
  /** Monotonic milliseconds. */
  #dueAt = 0;
  #silence = 0;
  #commands = 0;
  #unanswered = 0;

  constructor(options: QueueOptions) {
    this.#options = options;
  }

  get commands(): number {
    return this.#commands;
  }

  get unanswered(): number {
    return this.#unanswered;
  }

  /** Runs `job` after those before it. @throws what the job throws · RdvError `closed` */
  run<T>(job: () => Job<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#state === 'closed') {
        reject(closed());
        return;
      }
      this.#line.push({ job: job(), resolve: resolve as (value: unknown) => void, reject });
      this.#next();
    });
  }

  /** Takes a packet from the controller. @returns whether it answered the command in flight. */
  answer(packet: Uint8Array): boolean {
    if (this.#state !== 'commanding' || answeredOpcode(packet) !== this.#opcode) return false;
    this.#silence = 0;
    this.#move('answer');
    this.#resume({ status: answerStatus(packet), packet });
    return true;
  }

  /** Resumes a job that waits for this. */
  signal(): void {
    if (!accepts(commandQueueMachine, this.#state, 'signal')) return;
    this.#move('signal');
    this.#resume({ status: Status.ok, packet: new Uint8Array() });
  }

  /** Rejects everything, now and later. Idempotent. */
  close(): void {
    if (this.#state === 'closed') return;
    this.#move('close');
  }

  #next(): void {
    if (this.#current !== undefined) return;
    this.#current = this.#line.shift();
    if (this.#current !== undefined) this.#resume(undefined);
  }

  #resume(answer: Answer | undefined): void {
    const current = this.#current;
    if (current === undefined) return;
    let result: IteratorResult<JobStep, unknown>;
    try {
      // The first argument of `next` is dropped by a generator that has not started.
      result = answer === undefined ? current.job.next(NOTHING) : current.job.next(answer);
    } catch (error) {
      this.#finish(() => current.reject(toRdvError(error)));
      return;
    }
    if (result.done) {
      const value = result.value;
      this.#finish(() => current.resolve(value));
    } else this.#perform(result.value);
  }

  #finish(settle: () => void): void {
    this.#current = undefined;
    settle();
    this.#next();
  }

  #perform(wanted: JobStep): void {
    if (this.#state === 'closed') return;
    if ('signalWithinMs' in wanted) {
      this.#move('wait', wanted.signalWithinMs);
      return;
    }
    this.#opcode = u16le(wanted.command, 1);
    this.#commands++;
    this.#move('command', this.#options.deadlineMs, wanted.command);
  }

  #overdue(): void {
    if (this.#options.clock.monotonic() > this.#dueAt + STALL_MS) {
      this.#arm(AFTER_STALL_MS);
      return;
    }
    this.#move('overdue');
    if (this.#silence >= SILENT_AFTER) this.#options.onSilent();
    else this.#resume({ status: Status.unspecified, packet: commandStatus(this.#opcode, Status.unspecified) });
  }

  #arm(deadlineMs: number): void {
    const { clock } = this.#options;
    this.#dueAt = clock.monotonic() + deadlineMs;
    this.#timer = clock.schedule(deadlineMs, () => this.#overdue());
  }

  #move(event: QueueEvent, deadlineMs = 0, packet: Uint8Array = new Uint8Array()): void {
    const { to, effects } = step(commandQueueMachine, this.#state, event);
    this.#state = to;
    for (const effect of effects) this.#carryOut(effect, deadlineMs, packet);
  }

  #carryOut(effect: QueueEffect, deadlineMs: number, packet: Uint8Array): void {
    switch (effect) {
      case 'arm':
        this.#arm(deadlineMs);
        return;
      case 'disarm':
        this.#timer?.cancel();
        return;
      case 'write':
        this.#options.write(packet);
        return;
      case 'count':
        this.#unanswered++;
        this.#silence++;
        return;
      case 'reject': {
        const pending = this.#current ? [this.#current, ...this.#line] : this.#line;
        this.#current = undefined;
        this.#line = [];
        for (const { reject } of pending) reject(closed());
      }
    }
  }
}

const NOTHING: Answer = { status: Status.ok, packet: new Uint8Array() };

function closed(): RdvError {
  return new RdvError('closed', 'the adapter is closed');
}

/** One command inside a job. */
export function* send(command: Uint8Array): Job<Answer> {
  return yield { command };
}
