/** How people name adapters on the command line and in configuration files. What is behind a name is left to `open-transport.ts`. */
import { fromHex } from '@rdv/protocol/core/bytes';
import { InvalidArgumentError } from '@rdv/protocol/core/errors';
import type { SerialPlace } from './serial-port.js';
import type { SocketPlace } from './socket-transport.js';

export type AdapterName =
  /** `hci0` or `0`: by the kernel's number. */
  | { readonly kind: 'index'; readonly index: number }
  /** `AA:BB:CC:DD:EE:FF`: by its own public address, 6 bytes, most significant first. */
  | { readonly kind: 'address'; readonly address: Uint8Array }
  /** `serial:/dev/ttyACM0[?baud=1000000][&flow=none]` */
  | ({ readonly kind: 'serial' } & SerialPlace)
  /** `virtual:/path/to/socket` or `virtual:host:port` */
  | { readonly kind: 'virtual'; readonly place: SocketPlace };

const MAX_INDEX = 65_534;
const DEFAULT_BAUD = 1_000_000;
const MAX_BAUD = 12_000_000;

/**
 * Reads an adapter's name.
 * @throws InvalidArgumentError saying which forms there are
 * @example
 * parseAdapterName('hci0'); // { kind: 'index', index: 0 }
 */
export function parseAdapterName(name: string): AdapterName {
  if (typeof name !== 'string') throw new InvalidArgumentError('"adapter" expected a text');
  const index = /^(?:hci)?(\d{1,5})$/.exec(name)?.[1];
  if (index !== undefined && Number(index) <= MAX_INDEX) return { kind: 'index', index: Number(index) };
  if (/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(name))
    return { kind: 'address', address: fromHex(name.replaceAll(':', '')) };
  if (name.startsWith('serial:')) return serial(name.slice('serial:'.length));
  if (name.startsWith('virtual:')) return { kind: 'virtual', place: socketPlace(name.slice('virtual:'.length)) };
  throw new InvalidArgumentError(
    `"adapter" expected hci0, an address AA:BB:CC:DD:EE:FF, serial:/dev/ttyACM0, or virtual:/path/to/socket, got "${name.slice(0, 80)}"`,
  );
}

function serial(rest: string): AdapterName {
  const [path = '', query = ''] = rest.split('?', 2);
  if (path === '')
    throw new InvalidArgumentError('"adapter" expected a device after "serial:", as serial:/dev/ttyACM0');
  let baud = DEFAULT_BAUD;
  let flowControl = true;
  for (const [key, value] of new URLSearchParams(query)) {
    if (key === 'baud' && /^\d{3,8}$/.test(value) && Number(value) <= MAX_BAUD) baud = Number(value);
    else if (key === 'flow' && (value === 'none' || value === 'rtscts')) flowControl = value === 'rtscts';
    else throw new InvalidArgumentError('"adapter" takes only ?baud=NUMBER and flow=none|rtscts after a serial device');
  }
  return { kind: 'serial', path, baud, flowControl };
}

function socketPlace(rest: string): SocketPlace {
  if (rest === '') throw new InvalidArgumentError('"adapter" expected a socket path or host:port after "virtual:"');
  const tcp = /^(\[[0-9a-f:]+\]|[^/:]+):(\d{1,5})$/i.exec(rest);
  if (tcp === null) {
    if (rest.includes('\0')) throw new InvalidArgumentError('"adapter" expected a socket path without NUL');
    return { path: rest };
  }
  const port = Number(tcp[2]);
  if (port < 1 || port > 65_535) throw new InvalidArgumentError('"adapter" expected a port from 1 to 65535');
  return { host: tcp[1]!.replace(/^\[|\]$/g, ''), port };
}
