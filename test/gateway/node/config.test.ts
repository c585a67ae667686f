import { parseDuration, validateConfig } from '@rdv/gateway/node/config';
import { describe, expect, it } from 'vitest';

const minimal = { version: 1, publications: [{ tag: 'x', handler: { reply: 'hello' } }] };

const faults: [string, unknown, string[]][] = [
  ['no version', {}, ['version: is missing']],
  ['no mapping', 'text', ['(top level): must be a mapping']],
  ['a misspelt key', { ...minimal, adaptor: 'hci0' }, ['adaptor: is not known here']],
  ['another version', { version: 2 }, ['version: must be 1']],
  [
    'several at once',
    { version: 1, roles: { beacon: { adapter: '' } }, publications: [{ tag: 'x', ttl: '5 weeks', handler: {} }] },
    ['roles.beacon.adapter', 'publications.0.ttl', 'publications.0.handler'],
  ],
  ['no tag', { version: 1, publications: [{ handler: { reply: '' } }] }, ['publications.0: give exactly one']],
  [
    'two tags',
    { version: 1, publications: [{ tag: 'a', 'tag-file': 'b', handler: { reply: '' } }] },
    ['publications.0: give exactly one'],
  ],
  ['a namespace nobody speaks', { version: 1, namespaces: ['ftp://x'] }, ['namespaces.0: must be mqtt(s)://']],
  [
    'ble: without a beacon',
    { version: 1, publications: [{ tag: 'a', namespaces: ['ble:'], handler: { reply: '' } }] },
    ['needs roles.beacon'],
  ],
  [
    'a limit of zero',
    { version: 1, publications: [{ tag: 'a', lifecycle: { limit: 0 }, handler: { reply: '' } }] },
    ['publications.0.lifecycle'],
  ],
  [
    'a join with a service that the node has not',
    { version: 1, joins: [{ between: ['server:', 'mqtt://h'] }] },
    ['it needs roles.server'],
  ],
  [
    'a join with nothing that is known',
    { version: 1, joins: [{ between: ['ftp://h', 'mqtt://h'] }] },
    ['joins.0.between.0: must be '],
  ],
  ['a join of one', { version: 1, joins: [{ between: ['udp:'] }] }, ['joins.0.between: must be two namespaces']],
  [
    'a join of one with itself',
    { version: 1, joins: [{ between: ['udp:', 'udp:'] }] },
    ['joins.0.between: must be two different'],
  ],
  [
    'a join with ble:',
    { version: 1, joins: [{ between: ['udp:', 'ble:'] }] },
    ['joins.0.between: must not be ble:, which roles.gateway'],
  ],
  [
    'a join with a quota of nothing',
    { version: 1, joins: [{ between: ['udp:', 'mqtt://h'], quota: { frames: 0 } }] },
    ['joins.0.quota.frames'],
  ],
  ['a board without a port', { version: 1, boards: [{ tag: 'a' }] }, ['boards.0.port']],
  [
    'a board with two tags',
    { version: 1, boards: [{ port: '/a', tag: 'a', 'tag-file': 'b' }] },
    ['boards.0: give tag or'],
  ],
  ['a board twice', { version: 1, boards: [{ port: '/a' }, { port: '/a' }] }, ['boards.1: this port is there twice']],
  ['a board that is too loud', { version: 1, boards: [{ port: '/a', power: 21 }] }, ['boards.0.power']],
  [
    'a key that is none',
    { version: 1, roles: { beacon: { adapter: 'hci0', 'trusted-gateways': ['abc'] } } },
    ['64 hexadecimal digits'],
  ],
];

describe('configuration', () => {
  it('fills in defaults', () => {
    const config = validateConfig({ ...minimal, roles: { beacon: { adapter: 'hci0' } } }, 'f');
    expect(config.publications[0]).toMatchObject({ lifecycle: 'unlimited', realm: '' });
    expect(config.roles.beacon).toMatchObject({ 'interval-ms': 200, slots: 4, 'trusted-gateways': [] });
    expect(config['trust-clock']).toBe(false);
  });
  it('takes what a node that sleeps needs', () => {
    const sleepy = { ...minimal, 'keep-session': '2d', publications: [{ ...minimal.publications[0], ahead: 7 }] };
    expect(validateConfig(sleepy, 'f')).toMatchObject({ 'keep-session': 172_800, publications: [{ ahead: 7 }] });
    expect(() => validateConfig({ ...minimal, publications: [{ ...minimal.publications[0], ahead: 8 }] }, 'f')).toThrow(
      /publications\.0\.ahead: must be 0 to 7 days/,
    );
  });
  it.each(faults)('refuses %s in one line that names it', (_, value, told) => {
    let message = '';
    try {
      validateConfig(value, 'node.yaml');
    } catch (error) {
      message = (error as Error).message;
      expect((error as { code: string }).code).toBe('config');
    }
    expect(message).toMatch(/^node\.yaml: [^\n]*$/);
    for (const part of told) expect(message).toContain(part);
  });
  it('reads durations', () => {
    expect(['90', '90s', '15m', '12h', '7d'].map(parseDuration)).toEqual([90, 90, 900, 43_200, 604_800]);
    for (const bad of ['', '-1s', '1w', '1.5h']) expect(() => parseDuration(bad)).toThrow('no duration');
    for (const bad of ['0', '99999d', '9'.repeat(400)])
      expect(() => parseDuration(bad)).toThrow('between 1s and 3660d');
    expect(parseDuration('3660d')).toBe(316_224_000);
  });
});
