/** What a command writes: text for people or one JSON value per line; errors in one line on standard error. */
import { type RdvError, RefusedError, toRdvError } from '@rdv/protocol/core/errors';
import { IdentityError } from '@rdv/protocol/identity/api';
import { EXIT, exitCodeFor } from './exit-codes.js';

export interface Output {
  readonly json: boolean;
  /** A result on standard output: `text` for people, `value` with --json. */
  result(value: unknown, text: string): void;
  /** What goes on, on standard error, so that it never mixes with data. Silent with --quiet; JSON with --json. */
  progress(event: string, fields: Readonly<Record<string, unknown>>, text: string): void;
}

export function createOutput(options: { json?: boolean; quiet?: boolean }): Output {
  const json = options.json === true;
  return {
    json,
    result(value, text) {
      process.stdout.write(`${json ? JSON.stringify(value) : text}\n`);
    },
    progress(event, fields, text) {
      if (options.quiet) return;
      process.stderr.write(json ? `${JSON.stringify({ event, ...fields })}\n` : `${text}\n`);
    },
  };
}

/**
 * One line, no stack trace; the message already names the next step. With --json also the reason of a refusal, or why an
 * identity is not believed, for programs. `RDV_DEBUG=1` adds the stack for developers.
 */
export function reportError(error: unknown, json: boolean): number {
  const known: RdvError = toRdvError(error);
  const message = known.message.replaceAll(/\s*\n\s*/g, ' ');
  const reason = known instanceof IdentityError || known instanceof RefusedError ? known.reason : undefined;
  process.stderr.write(
    json
      ? `${JSON.stringify({ event: 'error', code: known.code, reason, message })}\n`
      : `rdv: ${message} [${known.code}]\n`,
  );
  if (process.env['RDV_DEBUG'] && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  return known.code === 'canceled' ? EXIT.interrupted : exitCodeFor(known.code);
}

/** `rows` under `header`, in columns. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  return all
    .map((row) =>
      row
        .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** `1.2 s`, `350 ms`, `2.0 min`. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 120_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${(ms / 60_000).toFixed(1)} min`;
}
