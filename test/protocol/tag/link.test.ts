import { InvalidArgumentError } from '@rdv/protocol/core/errors';
import { formatLink, looksLikeLink, parseLink } from '@rdv/protocol/tag/link';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

const link = (tag: string, namespaces: readonly string[] = [], realm = '') => ({ tag, namespaces, realm });

describe('links', () => {
  it.each([
    ['rdv:billboard', link('billboard')],
    ['RDV:RDV1-ABCDE', link('RDV1-ABCDE')],
    ['rdv:caf%C3%A9%20%3F', link('café ?')],
    ['rdv:a+b', link('a+b')],
    ['rdv:x?n=mqtt%3A%2F%2Fbroker.example', link('x', ['mqtt://broker.example'])],
    [
      'rdv:x?n=mqtts%3A%2F%2Fb%3A8883%3Fbase%3Dsite%2Frdv&n=ble%3A&r=museum',
      link('x', ['mqtts://b:8883?base=site/rdv', 'ble:'], 'museum'),
    ],
    ['rdv:ni%3A%2F%2F%2Fsha-256%3Bx?later=1', link('ni:///sha-256;x')],
    ['rdv:-----BEGIN%20X-----%0Aab%0A', link('-----BEGIN X-----\nab\n')],
    ['rdv:x?o=-1700000000&k=4', { ...link('x'), beacon: { offsetSeconds: -1_700_000_000, exponent: 4 } }],
    ['rdv:x?k=0', { ...link('x'), beacon: { offsetSeconds: 0, exponent: 0 } }],
    ['rdv:x?o=-0', { ...link('x'), beacon: { offsetSeconds: 0, exponent: 10 } }],
  ])('%s', (text, wanted) => {
    expect(parseLink(text)).toEqual(wanted);
  });

  it('the clock of a stock beacon comes back', () => {
    const clock = fc.record({
      offsetSeconds: fc.integer({ min: -(2 ** 32 - 1), max: 2 ** 32 - 1 }),
      exponent: fc.integer({ min: 0, max: 15 }),
    });
    fc.assert(
      fc.property(clock, (beacon) => {
        expect(parseLink(formatLink({ ...link('x'), beacon }))).toEqual({ ...link('x'), beacon });
      }),
    );
    expect(() => formatLink({ ...link('x'), beacon: { offsetSeconds: 0.5, exponent: 10 } })).toThrow(
      InvalidArgumentError,
    );
    expect(() => formatLink({ ...link('x'), beacon: { offsetSeconds: 0, exponent: 16 } })).toThrow(
      InvalidArgumentError,
    );
  });

  it('every tag, realm and place comes back', () => {
    const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 50 }).filter((one) => !looksLikeLink(one));
    const url = fc.domain().map((host) => `mqtts://${host}:8883?base=a/b`);
    fc.assert(
      fc.property(text, fc.array(url, { maxLength: 8 }), fc.string({ maxLength: 20 }), (tag, namespaces, realm) => {
        expect(parseLink(formatLink({ tag, namespaces, realm }))).toEqual({ tag, namespaces, realm });
      }),
    );
  });

  it.each([
    'billboard',
    'rdv:',
    'rdv:?n=ble%3A',
    'rdv://billboard',
    'rdv:100%',
    'rdv:%ff',
    'rdv:a?b?c',
    'rdv:a#b',
    'rdv:rdv%3Ax',
    'rdv:x?n=',
    'rdv:x?n=broker',
    `rdv:x?n=mqtt%3A%2F%2F${'a'.repeat(512)}`,
    `rdv:x?${'n=ble%3A&'.repeat(9)}`,
    `rdv:${'x'.repeat(40_000)}`,
    'rdv:x?n=mqtt%3A%2F%2Fb%0A',
    'rdv:x?o=',
    'rdv:x?o=1.5',
    'rdv:x?o=1e3',
    'rdv:x?o=4294967296',
    'rdv:x?k=16',
    'rdv:x?k=-1',
  ])('refuses %.60s', (text) => {
    expect(() => parseLink(text)).toThrow(expect.objectContaining({ code: 'invalid-tag' }));
  });

  // A link is scanned from a wall: it must not make its reader say a password, open a file, or pick a radio.
  it.each([
    'mqtt://user:secret@broker',
    'mqtt://broker?password-file=/etc/passwd',
    'mqtts://broker?base=x&ca=/tmp/ca.pem',
    'mqtts://broker?base=x&%63a=/tmp/ca.pem',
    'ble:?adapter=hci0',
  ])('takes no hint that is more than a place: %s', (url) => {
    expect(() => parseLink(`rdv:x?n=${encodeURIComponent(url)}`)).toThrow(
      expect.objectContaining({ code: 'invalid-tag' }),
    );
    expect(() => formatLink(link('x', [url]))).toThrow(InvalidArgumentError);
  });

  it('never shows the tag in an error', () => {
    for (const text of ['rdv:hush%', 'rdv:hush?a?b', 'rdv:hush?n=x']) {
      expect(() => parseLink(text)).toThrow(expect.not.objectContaining({ message: expect.stringContaining('hush') }));
    }
  });
});
