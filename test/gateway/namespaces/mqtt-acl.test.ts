/** The broker's rules as text; what brokers make of them is seen in `test/system/acl`. */
import { ACL_FORMATS, type AclOptions, formatAcl } from '@rdv/gateway/namespaces/mqtt-acl';
import { expect, it } from 'vitest';

const options: AclOptions = { base: 'rdv', publishers: ['kiosk'], responders: ['app'], operators: ['me'], open: false };

it('EMQX: wildcards are denied by the letter, then what each may do, then everything', () => {
  const lines = formatAcl('emqx', { ...options, base: 'site/x', open: true })
    .split('\n')
    .filter((line) => line.startsWith('{'));
  expect(lines).toEqual([
    '{deny, all, subscribe, [{eq, "site/x/1/r/+/+"}, {eq, "site/x/1/q/+"}, {eq, "site/x/1/s/+/+"}]}.',
    '{allow, {username, "kiosk"}, subscribe, ["site/x/1/r/+/+"]}.',
    '{allow, {username, "kiosk"}, subscribe, ["site/x/1/q/+"]}.',
    '{allow, {username, "kiosk"}, publish, ["site/x/1/q/+"]}.',
    '{allow, {username, "kiosk"}, subscribe, ["site/x/1/s/+/+"]}.',
    '{allow, {username, "kiosk"}, publish, ["site/x/1/r/+/+"]}.',
    '{allow, {username, "kiosk"}, publish, ["site/x/1/s/+/+"]}.',
    '{allow, {username, "kiosk"}, publish, ["site/x/1/node/#"]}.',
    '{allow, {username, "kiosk"}, subscribe, ["site/x/1/node/+/request/#"]}.',
    '{allow, {username, "app"}, subscribe, ["site/x/1/r/+/+"]}.',
    '{allow, {username, "app"}, subscribe, ["site/x/1/q/+"]}.',
    '{allow, {username, "app"}, publish, ["site/x/1/q/+"]}.',
    '{allow, {username, "app"}, subscribe, ["site/x/1/s/+/+"]}.',
    '{allow, {username, "me"}, subscribe, ["site/x/1/node/#"]}.',
    '{allow, {username, "me"}, publish, ["site/x/1/node/+/request/#"]}.',
    '{allow, all, subscribe, ["site/x/1/r/+/+"]}.',
    '{allow, all, subscribe, ["site/x/1/q/+"]}.',
    '{allow, all, publish, ["site/x/1/q/+"]}.',
    '{allow, all, subscribe, ["site/x/1/s/+/+"]}.',
    '{deny, all}.',
  ]);
});

it('NATS: subjects in its own spelling, a dot in the prefix included', () => {
  expect(formatAcl('nats', { ...options, base: 'a.b/c' })).toContain('"a//b.c.1.r.*.*"');
});

it.each(ACL_FORMATS)('%s: takes no name that would say something else, and somebody has to publish', (format) => {
  for (const name of ['', 'a b', 'a"', "a'", 'a;b', '$(x)', 'a\nuser b', '{', 'x'.repeat(65)]) {
    for (const who of ['publishers', 'responders', 'operators'] as const) {
      expect(() => formatAcl(format, { ...options, [who]: [name] }), name).toThrow('no user name');
    }
  }
  expect(() => formatAcl(format, { ...options, publishers: [] })).toThrow('--publisher');
  expect(() => formatAcl(format, { ...options, base: 'a/#' })).toThrow('without wildcards');
});

it.each(['mosquitto', 'nats'] as const)('%s: is not opened to strangers, who could list everything', (format) => {
  expect(() => formatAcl(format, { ...options, open: true })).toThrow('--open');
});
