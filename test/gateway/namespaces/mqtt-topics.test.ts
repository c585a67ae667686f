/** Topics: the specification's own example, and what cannot become one. */
import { readFileSync } from 'node:fs';
import { checkBase, parseTopic, queueTopic, recordFilter, recordTopic } from '@rdv/gateway/namespaces/mqtt-topics';
import fc from 'fast-check';
import { expect, it } from 'vitest';

const upTo = (length: number) => Uint8Array.from({ length }, (_, index) => index);
const anyBytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

it('are those of SPEC §10', () => {
  const spec = readFileSync(new URL('../../../protocol/SPEC.md', import.meta.url), 'utf8');
  expect(spec).toContain(`\`${recordTopic('rdv', upTo(32), new Uint8Array(32))}\``);
  expect(spec).toContain(`\`${queueTopic('rdv', upTo(16))}\``);
});

it('read back as they were made, and hold no wildcard', () => {
  fc.assert(
    fc.property(anyBytes(32), anyBytes(32), anyBytes(16), (id, owner, queue) => {
      const record = recordTopic('a/b', id, owner);
      expect(parseTopic('a/b', record)).toEqual({ kind: 'record', id, owner, filter: recordFilter('a/b', id) });
      const frames = queueTopic('a/b', queue);
      expect(parseTopic('a/b', frames)).toEqual({ kind: 'queue', queue, filter: frames });
      expect(record + frames).not.toMatch(/[+#]/);
      expect(parseTopic('a', record)).toBeUndefined();
    }),
  );
});

it('of anybody else are none of ours', () => {
  const good = recordTopic('rdv', upTo(32), upTo(32));
  const others = ['', 'rdv', 'rdv/1', 'rdv/2/q/AAECAwQFBgcICQoLDA0ODw', `${good}/x`, good.slice(0, -1), `${good}A`];
  for (const topic of [...others, good.replace('/r/', '/x/'), `${good.slice(0, -1)}=`, 'rdv/1/q/+', 'rdv/1/q/']) {
    expect(parseTopic('rdv', topic), topic).toBeUndefined();
  }
  fc.assert(fc.property(fc.string(), (topic) => parseTopic('rdv', topic) === undefined));
});

it('refuse arguments of the wrong size, and a base that is none', () => {
  expect(() => recordTopic('rdv', upTo(31), upTo(32))).toThrow('"id" expected 32 bytes, got 31');
  expect(() => recordTopic('rdv', upTo(32), upTo(33))).toThrow('"owner"');
  expect(() => queueTopic('rdv', upTo(32))).toThrow('"queue"');
  for (const base of ['', '/a', 'a/', 'a//b', 'a/+', '#', '$SYS', 'a\u0000b', 'x'.repeat(129)]) {
    expect(() => checkBase(base), base).toThrow('"base"');
  }
  for (const base of ['rdv', 'site/rdv', 'a', 'ä/ö']) expect(checkBase(base)).toBe(base);
});
