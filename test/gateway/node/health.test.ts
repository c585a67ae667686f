/** A node's health from its parts: that the process runs says nothing. */
import { healthOf, hearingOf } from '@rdv/gateway/node/health';
import { expect, it } from 'vitest';

const fine = { clockDoubt: undefined, adapters: [], namespaces: [{ state: 'up' }], onAir: undefined, boards: [] };
const adapter = { name: 'hci0', state: 'up', quietMs: 500 } as const;

it('is fine when everything is, and without any radio or namespace', () => {
  expect(healthOf({ ...fine, adapters: [adapter], onAir: { state: 'heard', heardMsAgo: 3 } })).toEqual({
    status: 'ok',
    problems: [],
  });
  expect(healthOf({ ...fine, namespaces: [] }).status).toBe('ok');
});

it('tells a deaf radio from one that is down, and from one that nobody listens with', () => {
  expect(hearingOf({ ...adapter, quietMs: 89_999 })).toBe('hearing');
  expect(hearingOf({ ...adapter, quietMs: 90_000 })).toBe('deaf');
  expect(hearingOf({ ...adapter, quietMs: undefined })).toBe('idle');
  expect(hearingOf({ ...adapter, state: 'recovering' })).toBe('down');
  expect(healthOf({ ...fine, adapters: [{ ...adapter, quietMs: 95_000 }] })).toEqual({
    status: 'degraded',
    problems: ['adapter 0 is up and has heard nothing for 95 s'],
  });
  expect(healthOf({ ...fine, adapters: [adapter, { ...adapter, state: 'down' }] })).toMatchObject({
    status: 'failing',
    problems: ['adapter 1 is down'],
  });
});

it('fails without a clock, on a silent beacon, and with no namespace at all', () => {
  expect(healthOf({ ...fine, clockDoubt: 'it is early' }).status).toBe('failing');
  expect(healthOf({ ...fine, onAir: { state: 'silent', heardMsAgo: 40_000 } }).status).toBe('failing');
  expect(healthOf({ ...fine, namespaces: [{ state: 'up' }, { state: 'down' }] }).status).toBe('degraded');
  expect(healthOf({ ...fine, namespaces: [{ state: 'down' }] }).status).toBe('failing');
});

it('is degraded by a board that lacks something, not by one that is away', () => {
  expect(healthOf({ ...fine, boards: [{ problem: undefined }] }).status).toBe('ok');
  expect(healthOf({ ...fine, boards: [{ problem: undefined }, { problem: 'its battery is at 1.90 V' }] })).toEqual({
    status: 'degraded',
    problems: ['board 1: its battery is at 1.90 V'],
  });
});

it('names nothing that could be an address', () => {
  const named = { name: '00:aa:02:00:00:01', state: 'down', quietMs: 1e6 } as const;
  expect(JSON.stringify(healthOf({ ...fine, adapters: [named] }))).not.toContain('00:aa');
});
