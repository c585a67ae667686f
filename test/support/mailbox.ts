/**
 * An end's persistent session at a memory hub, as a broker keeps one: what is subscribed stays so while the end is away, and
 * frames wait for 24 h. `open()` is a process that comes, `kill()` one that goes without a word.
 */
import { toHex } from '@rdv/protocol/core/bytes';
import { QUEUE_TTL_SECONDS } from '@rdv/protocol/core/constants';
import type { Clock, Timer } from '@rdv/protocol/core/ports';
import { MemoryNamespace } from '@rdv/protocol/namespace/memory';
import type { MemoryHub } from '@rdv/protocol/namespace/memory-hub';
import type { FrameListener, Namespace, Subscription } from '@rdv/protocol/namespace/port';

interface Box {
  readonly stop: () => void;
  listener: FrameListener | undefined;
  waiting: { readonly frame: Uint8Array; readonly at: number }[];
}

/** The clock of one process: nothing happens by it any more when that is dead, in days of virtual time either. */
class MortalClock implements Clock {
  readonly #clock: Clock;
  readonly #timers = new Set<Timer>();
  #dead = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): number {
    return this.#clock.now();
  }

  monotonic(): number {
    return this.#clock.monotonic();
  }

  schedule(delayMs: number, run: () => void): Timer {
    if (this.#dead) return { cancel: () => {} };
    const timer = this.#clock.schedule(delayMs, () => {
      this.#timers.delete(timer);
      run();
    });
    this.#timers.add(timer);
    return {
      cancel: () => {
        timer.cancel();
        this.#timers.delete(timer);
      },
    };
  }

  die(): void {
    this.#dead = true;
    for (const timer of this.#timers) timer.cancel();
  }
}

export class Mailbox {
  readonly #hub: MemoryHub;
  #clock: MortalClock;
  readonly #boxes = new Map<string, Box>();
  #here: MemoryNamespace | undefined;

  constructor(hub: MemoryHub) {
    this.#hub = hub;
    this.#clock = new MortalClock(hub.clock);
  }

  /** Of the process that is there, or comes next. */
  get clock(): Clock {
    return this.#clock;
  }

  /** Queues subscribed, whether or not anybody is there. */
  get queues(): number {
    return this.#boxes.size;
  }

  open(): Namespace {
    const namespace = new MemoryNamespace(this.#hub);
    this.#here = namespace;
    namespace.subscribe = (queue, onFrame) => this.#subscribe(namespace, queue, onFrame);
    return namespace;
  }

  /** The process is gone. */
  async kill(): Promise<void> {
    for (const box of this.#boxes.values()) box.listener = undefined;
    await this.#here?.close();
    this.#here = undefined;
    this.#clock.die();
    this.#clock = new MortalClock(this.#hub.clock);
  }

  #subscribe(namespace: MemoryNamespace, queue: Uint8Array, onFrame: FrameListener): Subscription {
    const name = toHex(queue);
    const box = this.#boxes.get(name) ?? this.#newBox(name, queue);
    const listener: FrameListener = (frame) => {
      if (namespace.state !== 'closed' && box.listener === listener) onFrame(frame);
    };
    box.listener = listener;
    const oldest = this.#hub.clock.now() - QUEUE_TTL_SECONDS * 1000;
    for (const { frame, at } of box.waiting.splice(0)) if (at > oldest) queueMicrotask(() => listener(frame));
    const leave = (): void => {
      if (box.listener === listener) box.listener = undefined;
    };
    const close = (): void => {
      // With its process gone, nobody tells the broker.
      if (namespace.state === 'closed' || box.listener !== listener) return;
      leave();
      box.stop();
      this.#boxes.delete(name);
    };
    return { ready: Promise.resolve(), close, leave };
  }

  #newBox(name: string, queue: Uint8Array): Box {
    const stop = this.#hub.subscribe(queue, (frame) => {
      if (box.listener) queueMicrotask(() => box.listener?.(frame));
      else box.waiting.push({ frame, at: this.#hub.clock.now() });
    });
    const box: Box = { stop, listener: undefined, waiting: [] };
    this.#boxes.set(name, box);
    return box;
  }
}
