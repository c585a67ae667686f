/**
 * Server-Sent Events (WHATWG HTML §9.2), as far as a namespace service uses them: `event`, `data` and comments, in lines
 * of bounded length. Fed with what comes; keeps one unfinished event.
 */
import { fromUtf8 } from '@rdv/protocol/core/bytes';
import { DecodeError } from '@rdv/protocol/core/errors';

export interface ServerEvent {
  readonly type: string;
  readonly data: string;
}

/** A record or frame in base64url, in JSON, with room to spare. */
const LINE_MAX_BYTES = 64 * 1024;
const DATA_LINES_MAX = 16;
const LF = 10;
const CR = 13;

export class EventStreamParser {
  readonly #line = new Uint8Array(LINE_MAX_BYTES);
  #length = 0;
  #afterCr = false;
  #type = 'message';
  #data: string[] = [];

  /** The events that `chunk` completes. @throws DecodeError for a line or an event longer than any */
  *feed(chunk: Uint8Array): Generator<ServerEvent> {
    for (const byte of chunk) {
      if (byte === LF && this.#afterCr) {
        this.#afterCr = false;
        continue;
      }
      this.#afterCr = byte === CR;
      if (byte === LF || byte === CR) {
        const event = this.#endLine(fromUtf8(this.#line.subarray(0, this.#length)));
        this.#length = 0;
        if (event) yield event;
        continue;
      }
      if (this.#length === LINE_MAX_BYTES) throw new DecodeError('an event longer than any of a namespace service');
      this.#line[this.#length++] = byte;
    }
  }

  #endLine(line: string): ServerEvent | undefined {
    if (line === '') {
      const event = { type: this.#type, data: this.#data.join('\n') };
      const has = this.#data.length > 0;
      this.#type = 'message';
      this.#data = [];
      return has ? event : undefined;
    }
    const at = line.indexOf(':');
    const field = at < 0 ? line : line.slice(0, at);
    const value = at < 0 ? '' : line.slice(at + 1).replace(/^ /, '');
    if (field === 'event') this.#type = value;
    else if (field === 'data') {
      if (this.#data.length >= DATA_LINES_MAX) throw new DecodeError('an event of more lines than any');
      this.#data.push(value);
    }
    return undefined;
  }
}
