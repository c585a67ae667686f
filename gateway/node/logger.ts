/** The real log: pino to standard error, JSON lines, or one readable line each on a terminal. */
import type { LogFields, Logger } from '@rdv/protocol/core/ports';
// pino: the most used structured logger of Node
import { type DestinationStream, pino } from 'pino';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** @param root without a scope: two of the same name in one line would be no good JSON */
function wrap(root: pino.Logger, name: string): Logger {
  const inner = name ? root.child({ scope: name }) : root;
  const at =
    (level: 'debug' | 'info' | 'warn' | 'error') =>
    (message: string, fields: LogFields = {}): void =>
      inner[level](fields, message);
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    scope: (more) => wrap(root, name ? `${name}/${more}` : more),
  };
}

const SHADE: Readonly<Record<number, string>> = { 20: 'debug', 30: 'info', 40: 'warn', 50: 'error' };

/** `12:00:01.123 info  beacon: advertising {"window":3}` */
function readable(line: string): string {
  const {
    time,
    level,
    scope,
    msg,
    pid: _pid,
    hostname: _host,
    ...fields
  } = JSON.parse(line) as Record<string, unknown>;
  const rest = Object.keys(fields).length > 0 ? ` ${JSON.stringify(fields)}` : '';
  const at = new Date(Number(time)).toISOString().slice(11, 23);
  return `${at} ${(SHADE[Number(level)] ?? String(level)).padEnd(5)} ${scope ? `${String(scope)}: ` : ''}${String(msg)}${rest}\n`;
}

/** Opened by the composition roots alone. */
export function openLogger(options: { level: LogLevel; json?: boolean }): Logger {
  const destination: DestinationStream = {
    write: (line) => void process.stderr.write(options.json || !process.stderr.isTTY ? line : readable(line)),
  };
  return wrap(pino({ level: options.level, base: null }, destination), '');
}
