import { type AdapterName, parseAdapterName } from '@rdv/hardware/hci/adapter-name';
import { InvalidArgumentError } from '@rdv/protocol/core/errors';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

const good: [string, AdapterName][] = [
  ['hci0', { kind: 'index', index: 0 }],
  ['12', { kind: 'index', index: 12 }],
  ['AA:bb:CC:00:11:22', { kind: 'address', address: Uint8Array.of(0xaa, 0xbb, 0xcc, 0, 0x11, 0x22) }],
  ['serial:/dev/ttyACM0', { kind: 'serial', path: '/dev/ttyACM0', baud: 1_000_000, flowControl: true }],
  ['serial:COM3?baud=115200&flow=none', { kind: 'serial', path: 'COM3', baud: 115_200, flowControl: false }],
  ['virtual:/run/rdv/air.sock', { kind: 'virtual', place: { path: '/run/rdv/air.sock' } }],
  ['virtual:air.sock', { kind: 'virtual', place: { path: 'air.sock' } }],
  ['virtual:/tmp/a:1', { kind: 'virtual', place: { path: '/tmp/a:1' } }],
  ['virtual:localhost:9000', { kind: 'virtual', place: { host: 'localhost', port: 9000 } }],
  ['virtual:[::1]:9000', { kind: 'virtual', place: { host: '::1', port: 9000 } }],
];

const bad = [
  '',
  'hci',
  'hci65535',
  'hci-1',
  'AA:BB:CC:00:11',
  'serial:',
  'serial:/dev/ttyS0?baud=x',
  'serial:/dev/ttyS0?baud=99999999',
  'serial:/dev/ttyS0?speed=1',
  'virtual:',
  'virtual:host:0',
  'virtual:host:65536',
  'virtual:a\0b',
  'usb:1',
];

describe('adapter names', () => {
  it.each(good)('reads %s', (text, name) => {
    expect(parseAdapterName(text)).toEqual(name);
  });

  it.each(bad)('refuses %j by naming the argument', (text) => {
    expect(() => parseAdapterName(text)).toThrow(InvalidArgumentError);
    expect(() => parseAdapterName(text)).toThrow('"adapter"');
  });

  it('refuses or reads any text, and never throws anything else', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string().map((s) => `serial:${s}`),
          fc.string().map((s) => `virtual:${s}`),
        ),
        (text) => {
          try {
            parseAdapterName(text);
          } catch (error) {
            expect(error).toBeInstanceOf(InvalidArgumentError);
          }
        },
      ),
    );
  });
});
