/** JSON lines over a byte stream: one JSON value per line, bounded, with back-pressure both ways. */
import type { Duplex } from 'node:stream';
import { CanceledError, DecodeError, RdvError } from '@rdv/protocol/core/errors';

export type JsonObject = Readonly<Record<string, unknown>>;

/** A 16 MiB message in base64, and room around it. */
const LINE_MAX_BYTES = 23 * 1024 * 1024;

export interface JsonLines {
  /** Resolves when the stream takes more. @throws RdvError `closed` */
  write(value: JsonObject): Promise<void>;
  /** Next line, or undefined at the end of the stream. @throws DecodeError */
  read(): Promise<JsonObject | undefined>;
  /** No more from this side. */
  end(): void;
  close(): void;
}

function parse(line: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new DecodeError('a line is not JSON', { cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new DecodeError('a line is not an object');
  return value as JsonObject;
}

async function* linesOf(stream: Duplex): AsyncGenerator<JsonObject> {
  let parts: Buffer[] = [];
  let length = 0;
  // A bad line must not take the stream away: the answer to it still has to go out.
  for await (const chunk of stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    let from = 0;
    for (;;) {
      const at = chunk.indexOf(0x0a, from);
      const piece = chunk.subarray(from, at < 0 ? chunk.length : at);
      length += piece.length;
      if (length > LINE_MAX_BYTES) throw new DecodeError(`a line is longer than ${LINE_MAX_BYTES} bytes`);
      parts.push(piece);
      if (at < 0) break;
      const line = Buffer.concat(parts).toString('utf8');
      parts = [];
      length = 0;
      from = at + 1;
      if (line.trim().length > 0) yield parse(line);
    }
  }
}

export function jsonLines(stream: Duplex): JsonLines {
  const lines = linesOf(stream);
  stream.on('error', () => {});
  return {
    async write(value) {
      if (stream.destroyed || stream.writableEnded) throw new RdvError('closed', 'the other program has gone');
      if (stream.write(`${JSON.stringify(value)}\n`)) return;
      await new Promise<void>((resolve, reject) => {
        const done = (): void => {
          stream.off('drain', done);
          stream.off('close', gone);
          resolve();
        };
        const gone = (): void => {
          stream.off('drain', done);
          reject(new CanceledError('the other program has gone'));
        };
        stream.once('drain', done);
        stream.once('close', gone);
      });
    },
    async read() {
      try {
        const next = await lines.next();
        return next.done ? undefined : next.value;
      } catch (error) {
        if (error instanceof RdvError) throw error;
        return undefined; // the stream broke: the same as its end
      }
    },
    end() {
      stream.end();
    },
    close() {
      stream.destroy();
    },
  };
}
