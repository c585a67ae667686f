/**
 * The messages between a node and its radio host, and their checks: whatever arrives is checked before it is used,
 * so that a vendor stack gone mad cannot put more into the node than these shapes. Carried by structured clone
 * (child IPC, advanced serialization); no wire format of the protocol.
 */
import { DecodeError, type RdvErrorCode } from '@rdv/protocol/core/errors';
import type { HeardAdvert } from '../radio/central.js';
import type { Advertisement } from '../radio/peripheral.js';

/** Packets under way per link and direction. */
export const LINK_CREDITS = 32;
/** Adverts under way; what comes while none is left is counted and dropped: the next one comes in 100 ms. */
export const ADVERT_CREDITS = 256;
/** Largest packet of a link (SPEC §9) with room to spare. */
const PACKET_MAX = 512;
const TEXT_MAX = 500;
const LIST_MAX = 16;
export const BEAT_MS = 1000;

export interface OpenMessage {
  readonly t: 'open';
  /** Adapter name: as `parseAdapterName` reads it. */
  readonly adapter: string;
  readonly central?: string;
  readonly peripheral?: string;
  readonly slots: number;
}

export type Call =
  | { readonly m: 'scan'; readonly passive: boolean; readonly allowDuplicates: boolean }
  | { readonly m: 'stop-scan' }
  | { readonly m: 'connect'; readonly address: string; readonly type: 'public' | 'random'; readonly deadlineMs: number }
  | { readonly m: 'rssi'; readonly link: number }
  | { readonly m: 'advertise'; readonly advertisement: Advertisement }
  | { readonly m: 'stop-advertising' }
  | { readonly m: 'probe' }
  | { readonly m: 'close' };

export type ToHost =
  | OpenMessage
  | { readonly t: 'call'; readonly id: number; readonly call: Call }
  | { readonly t: 'cancel'; readonly id: number }
  | { readonly t: 'packet'; readonly link: number; readonly data: Uint8Array }
  | { readonly t: 'credit'; readonly link: number; readonly count: number }
  | { readonly t: 'close-link'; readonly link: number }
  | { readonly t: 'advert-credit'; readonly count: number };

/** How a host is doing, once a second. */
export interface Beat {
  /** Advertising reports heard so far, of any kind of device. */
  readonly reports: number;
  /** Adverts dropped so far because the node was behind. */
  readonly dropped: number;
  readonly freeSlots: number;
  readonly links: number;
  /** Resident memory, bytes. */
  readonly rssBytes: number;
}

export type FromHost =
  | { readonly t: 'opened'; readonly slots: number }
  | { readonly t: 'failed'; readonly code: RdvErrorCode; readonly message: string }
  | { readonly t: 'done'; readonly id: number; readonly value?: number }
  | { readonly t: 'error'; readonly id: number; readonly code: RdvErrorCode; readonly message: string }
  | {
      readonly t: 'link';
      readonly link: number;
      readonly side: 'central' | 'peripheral';
      readonly maxPacketBytes: number;
      readonly localAddress?: Uint8Array;
    }
  | { readonly t: 'resize'; readonly link: number; readonly maxPacketBytes: number }
  | { readonly t: 'packet'; readonly link: number; readonly data: Uint8Array }
  | { readonly t: 'credit'; readonly link: number; readonly count: number }
  | { readonly t: 'closed'; readonly link: number; readonly reason: string }
  | { readonly t: 'advert'; readonly advert: HeardAdvert }
  | ({ readonly t: 'beat' } & Beat)
  | { readonly t: 'wedged'; readonly reason: string };

const CODES: ReadonlySet<string> = new Set<RdvErrorCode>([
  'invalid-argument',
  'malformed',
  'too-large',
  'canceled',
  'timeout',
  'closed',
  'protocol-violation',
  'busy',
  'quota',
  'unreachable',
  'not-authorized',
  'config',
  'adapter',
  'unsupported',
  'internal',
]);

type Fields = Readonly<Record<string, unknown>>;

function fail(what: string): never {
  throw new DecodeError(`radio host: bad message (${what})`);
}
function record(value: unknown, what: string): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : fail(what);
}
function integer(value: unknown, what: string, max: number = Number.MAX_SAFE_INTEGER): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= max ? value : fail(what);
}
function text(value: unknown, what: string, max: number = TEXT_MAX): string {
  return typeof value === 'string' && value.length <= max ? value : fail(what);
}
function flag(value: unknown, what: string): boolean {
  return typeof value === 'boolean' ? value : fail(what);
}
/** A plain Uint8Array of its own: what arrives may be a Buffer, or a view of a larger one. */
function bytes(value: unknown, what: string, max: number): Uint8Array {
  return value instanceof Uint8Array && value.length <= max ? Uint8Array.from(value) : fail(what);
}
function errorCode(value: unknown): RdvErrorCode {
  return typeof value === 'string' && CODES.has(value) ? (value as RdvErrorCode) : 'internal';
}
function addressType(value: unknown): 'public' | 'random' {
  return value === 'public' || value === 'random' ? value : fail('address type');
}
function addressText(value: unknown): string {
  const address = text(value, 'address', 17);
  return /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(address) ? address : fail('address');
}
function list(value: unknown, what: string): readonly unknown[] {
  return Array.isArray(value) && value.length <= LIST_MAX ? value : fail(what);
}

/** Apple's recommended intervals are fractions of milliseconds. */
function interval(value: unknown): number {
  return typeof value === 'number' && value >= 20 && value <= 10_240 ? value : fail('interval');
}

function advertisement(value: unknown): Advertisement {
  const fields = record(value, 'advertisement');
  const address = fields['address'] === undefined ? undefined : bytes(fields['address'], 'own address', 6);
  return {
    data: bytes(fields['data'], 'advertising data', 31),
    scanResponse: bytes(fields['scanResponse'], 'scan response', 31),
    ...(address && { address }),
    connectable: flag(fields['connectable'], 'connectable'),
    intervalMs: interval(fields['intervalMs']),
  };
}

function heardAdvert(value: unknown): HeardAdvert {
  const fields = record(value, 'advert');
  const peer = record(fields['peer'], 'peer');
  const rssi = fields['rssi'];
  return {
    peer: { address: addressText(peer['address']), type: addressType(peer['type']) },
    rssi: typeof rssi === 'number' && rssi >= -128 && rssi <= 127 ? rssi : fail('rssi'),
    connectable: flag(fields['connectable'], 'connectable'),
    serviceData: list(fields['serviceData'], 'service data').map((item) => {
      const entry = record(item, 'service data');
      return { uuid: text(entry['uuid'], 'uuid', 32), data: bytes(entry['data'], 'service data', 31) };
    }),
    serviceUuids: list(fields['serviceUuids'], 'uuids').map((uuid) => text(uuid, 'uuid', 32)),
  };
}

function call(value: unknown): Call {
  const fields = record(value, 'call');
  switch (fields['m']) {
    case 'scan':
      return {
        m: 'scan',
        passive: flag(fields['passive'], 'passive'),
        allowDuplicates: flag(fields['allowDuplicates'], 'duplicates'),
      };
    case 'connect':
      return {
        m: 'connect',
        address: addressText(fields['address']),
        type: addressType(fields['type']),
        deadlineMs: integer(fields['deadlineMs'], 'deadline'),
      };
    case 'rssi':
      return { m: 'rssi', link: integer(fields['link'], 'link') };
    case 'advertise':
      return { m: 'advertise', advertisement: advertisement(fields['advertisement']) };
    case 'stop-scan':
    case 'stop-advertising':
    case 'probe':
    case 'close':
      return { m: fields['m'] };
    default:
      return fail('call');
  }
}

/** What the node sent. @throws DecodeError */
export function checkToHost(value: unknown): ToHost {
  const fields = record(value, 'not an object');
  switch (fields['t']) {
    case 'open':
      return {
        t: 'open',
        adapter: text(fields['adapter'], 'adapter'),
        ...(fields['central'] !== undefined && { central: text(fields['central'], 'module', 4096) }),
        ...(fields['peripheral'] !== undefined && { peripheral: text(fields['peripheral'], 'module', 4096) }),
        slots: integer(fields['slots'], 'slots', 16),
      };
    case 'call':
      return { t: 'call', id: integer(fields['id'], 'id'), call: call(fields['call']) };
    case 'cancel':
      return { t: 'cancel', id: integer(fields['id'], 'id') };
    case 'packet':
      return {
        t: 'packet',
        link: integer(fields['link'], 'link'),
        data: bytes(fields['data'], 'packet', PACKET_MAX),
      };
    case 'credit':
      return {
        t: 'credit',
        link: integer(fields['link'], 'link'),
        count: integer(fields['count'], 'credit', LINK_CREDITS),
      };
    case 'close-link':
      return { t: 'close-link', link: integer(fields['link'], 'link') };
    case 'advert-credit':
      return { t: 'advert-credit', count: integer(fields['count'], 'credit', ADVERT_CREDITS) };
    default:
      return fail('kind');
  }
}

/** What the radio host sent. @throws DecodeError */
export function checkFromHost(value: unknown): FromHost {
  const fields = record(value, 'not an object');
  const link = (): number => integer(fields['link'], 'link');
  switch (fields['t']) {
    case 'opened':
      return { t: 'opened', slots: integer(fields['slots'], 'slots', 16) };
    case 'failed':
      return { t: 'failed', code: errorCode(fields['code']), message: text(fields['message'], 'message') };
    case 'done': {
      const value = fields['value'];
      if (value !== undefined && (typeof value !== 'number' || !Number.isSafeInteger(value))) fail('value');
      return { t: 'done', id: integer(fields['id'], 'id'), ...(typeof value === 'number' && { value }) };
    }
    case 'error':
      return {
        t: 'error',
        id: integer(fields['id'], 'id'),
        code: errorCode(fields['code']),
        message: text(fields['message'], 'message'),
      };
    case 'link': {
      const side = fields['side'];
      if (side !== 'central' && side !== 'peripheral') fail('side');
      return {
        t: 'link',
        link: link(),
        side: side as 'central' | 'peripheral',
        maxPacketBytes: integer(fields['maxPacketBytes'], 'size', PACKET_MAX),
        ...(fields['localAddress'] !== undefined && { localAddress: bytes(fields['localAddress'], 'own address', 6) }),
      };
    }
    case 'resize':
      return { t: 'resize', link: link(), maxPacketBytes: integer(fields['maxPacketBytes'], 'size', PACKET_MAX) };
    case 'packet':
      return { t: 'packet', link: link(), data: bytes(fields['data'], 'packet', PACKET_MAX) };
    case 'credit':
      return { t: 'credit', link: link(), count: integer(fields['count'], 'credit', LINK_CREDITS) };
    case 'closed':
      return { t: 'closed', link: link(), reason: text(fields['reason'], 'reason') };
    case 'advert':
      return { t: 'advert', advert: heardAdvert(fields['advert']) };
    case 'beat':
      return {
        t: 'beat',
        reports: integer(fields['reports'], 'reports'),
        dropped: integer(fields['dropped'], 'dropped'),
        freeSlots: integer(fields['freeSlots'], 'slots', 16),
        links: integer(fields['links'], 'links', 64),
        rssBytes: integer(fields['rssBytes'], 'memory'),
      };
    case 'wedged':
      return { t: 'wedged', reason: text(fields['reason'], 'reason') };
    default:
      return fail('kind');
  }
}

/** `text` fit for a message or a log: BD_ADDRs blotted out (with or without colons), cut to the permitted length. */
export function fitText(text: string): string {
  return text
    .replace(/(?:[0-9a-f]{2}:){5}[0-9a-f]{2}/gi, '(address)')
    .replace(/\b[0-9a-f]{12}\b/gi, '(address)')
    .slice(0, TEXT_MAX);
}
