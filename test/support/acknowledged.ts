/** A writer that remembers what was acknowledged to it, whatever is killed meanwhile. */
import { toHex } from '@rdv/protocol/core/bytes';
import { RdvError } from '@rdv/protocol/core/errors';
import type { Namespace } from '@rdv/protocol/namespace/port';
import { expect } from 'vitest';
import { bytes, testOwner, testRecord } from '../contract/records.js';

export class AcknowledgedWriter {
  readonly queue: Uint8Array = bytes(16);
  readonly id: Uint8Array = bytes(32);
  /** In hexadecimal. */
  readonly frames: string[] = [];
  readonly records: Uint8Array[] = [];
  readonly #namespace: Namespace;
  readonly #work: Promise<void>[];
  #writing = true;

  constructor(namespace: Namespace) {
    this.#namespace = namespace;
    this.#work = [this.#send(), this.#send(), this.#send(), this.#put()];
  }

  /** How many of the frames are not in `there`. */
  missing(there: ReadonlySet<string>): number {
    return this.frames.filter((frame) => !there.has(frame)).length;
  }

  async stop(): Promise<void> {
    this.#writing = false;
    await Promise.all(this.#work);
  }

  async #send(): Promise<void> {
    while (this.#writing) {
      const frame = bytes(64);
      try {
        await this.#namespace.send(this.queue, frame);
        this.frames.push(toHex(frame));
      } catch (error) {
        expect(error).toBeInstanceOf(RdvError);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
  }

  async #put(): Promise<void> {
    const owner = testOwner();
    for (let seq = 1; this.#writing; seq++) {
      const record = testRecord({ id: this.id, owner, seq, notAfter: Math.floor(Date.now() / 1000) + 3600 });
      await this.#namespace.put(record).then(
        () => this.records.push(record),
        () => {},
      );
    }
  }
}
