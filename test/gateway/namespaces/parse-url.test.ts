/** `--namespace`: every form, every mistake with one clear line, and no password in any of them. */
import { parseNamespaceUrl, withoutSecrets } from '@rdv/gateway/namespaces/parse-url';
import { udpName } from '@rdv/gateway/namespaces/udp-target';
import { describe, expect, it } from 'vitest';

const files = (path: string): string => `text of ${path}\n`;

const NODES = [
  { host: 'b', port: 99 },
  { host: '::1', port: 1883 },
];
const TLS_NODE = { protocol: 'mqtts', port: 8883, username: 'u', password: 'p@ss' };

describe('parseNamespaceUrl', () => {
  it.each([
    ['mqtt://h', { protocol: 'mqtt', host: 'h', port: 1883 }],
    ['mqtt://h:99/', { protocol: 'mqtt', host: 'h', port: 99 }],
    ['mqtt://[::1]:99', { protocol: 'mqtt', host: '::1', port: 99 }],
    ['mqtt://a,b:99,[::1]/?base=x', { protocol: 'mqtt', host: 'a', port: 1883, base: 'x', others: NODES }],
    ['mqtts://u:p%40ss@a,b', { ...TLS_NODE, host: 'a', others: [{ host: 'b', port: 8883 }] }],
    ['mqtts://h?version=3.1.1', { protocol: 'mqtts', host: 'h', port: 8883, version: 4 }],
    ['mqtt://h?version=5&base=a/b', { protocol: 'mqtt', host: 'h', port: 1883, version: 5, base: 'a/b' }],
    ['mqtt+ws://h', { protocol: 'ws', host: 'h', port: 80, path: '/mqtt' }],
    ['mqtt+wss://h/x/y', { protocol: 'wss', host: 'h', port: 443, path: '/x/y' }],
    ['mqtt://u:p%40ss@h', { protocol: 'mqtt', host: 'h', port: 1883, username: 'u', password: 'p@ss' }],
    ['mqtt://u@h?password-file=/s', { protocol: 'mqtt', host: 'h', port: 1883, username: 'u', password: 'text of /s' }],
    [
      'mqtts://h?ca=c&cert=d&key=e',
      { protocol: 'mqtts', host: 'h', port: 8883, ca: 'text of c\n', cert: 'text of d\n', key: 'text of e\n' },
    ],
  ])('%s', (url, target) => {
    expect(parseNamespaceUrl(url, files)).toEqual({ kind: 'mqtt', target });
  });

  it.each([
    ['http://h', { protocol: 'http', host: 'h', port: 80 }],
    ['https://u:p@h:99/meet/', { protocol: 'https', host: 'h', port: 99, base: '/meet', username: 'u', password: 'p' }],
    ['ws://[::1]:99/a/b', { protocol: 'ws', host: '::1', port: 99, base: '/a/b' }],
    ['wss://h?ca=c', { protocol: 'wss', host: 'h', port: 443, ca: 'text of c\n' }],
  ])('%s', (url, target) => {
    expect(parseNamespaceUrl(url, files)).toEqual({ kind: 'http', target });
  });

  it.each([
    ['ble:', { kind: 'ble' }],
    ['ble:hci1', { kind: 'ble', adapter: 'hci1' }],
    ['ble:serial:/dev/ttyACM0', { kind: 'ble', adapter: 'serial:/dev/ttyACM0' }],
  ])('%s', (url, spec) => {
    expect(parseNamespaceUrl(url)).toEqual(spec);
  });

  it.each([
    ['broker.example', 'no such form'],
    ['', 'no such form'],
    ['amqp://u:sesame@h', 'unknown kind "amqp:"'],
    ['mqtt://', 'not a URL|host is missing'],
    ['mqtt://h:99999', 'not a URL'],
    ['mqtt://u:sesame@a,b:99999', 'not a URL'],
    ['mqtt://a,,b', 'not a URL|host is missing'],
    [`mqtt://${'a,'.repeat(8)}a`, 'more than 8 nodes'],
    ['mqtt://u:sesame@h/topic', '\\?base=topic'],
    ['mqtt://u:sesame@h?bse=x', 'unknown parameter "bse"'],
    ['mqtt://u:sesame@h?base=a&base=b', 'more than once'],
    ['mqtt://u:sesame@h?base=a/%23', 'without wildcards'],
    ['mqtt://u:sesame@h?base=$SYS', 'without wildcards'],
    ['mqtt://u:sesame@h?version=6', '5, 3.1.1 or auto'],
    ['mqtt://u:sesame@h?ca=x', 'needs TLS'],
    ['mqtts://u:sesame@h?cert=x', 'go together'],
    ['mqtt://:sesame@h', 'needs a user'],
    ['mqtt://u:sesame@h?password-file=x', 'given twice'],
    ['mqtt://u:sesame%@h', '%25'],
    ['mqtt://u:sesame@h#x', '%23'],
    ['https://u:sesame@h?base=x', 'unknown parameter "base"'],
    ['http://u:sesame@h?ca=x', 'needs TLS: https'],
    ['https://h/a%20b', 'letters, digits'],
    ['ble:hci 0', 'name of an adapter'],
  ])('%s is refused', (url, why) => {
    const error = ((): Error => {
      try {
        parseNamespaceUrl(url, files);
      } catch (thrown) {
        return thrown as Error;
      }
      return new Error('accepted');
    })();
    expect(error.message).toMatch(new RegExp(why));
    expect(error).toMatchObject({ code: 'invalid-argument' });
    expect(error.message).not.toContain('sesame');
    expect(error.message).not.toContain('\n');
  });

  it('names a file that cannot be read', () => {
    expect(() => parseNamespaceUrl('mqtts://h?ca=/no/such/file')).toThrow('cannot read /no/such/file');
  });
});

it('shows URLs without secrets', () => {
  expect(withoutSecrets('mqtts://user:pass@h:1/x?password-file=y')).toBe('mqtts://h:1/x');
});

describe('udp:', () => {
  const all = { port: 21_060, broadcast: true, group: 'ff12::c9e1:5244', interfaces: [] };
  it.each([
    ['udp:', all, 'udp:'],
    ['udp://', all, 'udp:'],
    ['udp:?interface=eth0&interface=wlan0', { ...all, interfaces: ['eth0', 'wlan0'] }, 'udp:'],
    ['udp://:5000', { ...all, port: 5000 }, 'udp://:5000'],
    ['udp://broadcast', { ...all, group: undefined }, 'udp://broadcast'],
    ['udp://255.255.255.255:99', { ...all, group: undefined, port: 99 }, 'udp://broadcast:99'],
    ['udp://multicast/?interface=eth0.7', { ...all, broadcast: false, interfaces: ['eth0.7'] }, 'udp://multicast'],
    ['udp://[ff12::1]:7', { ...all, broadcast: false, group: 'ff12::1', port: 7 }, 'udp://[ff12::1]:7'],
  ])('%s', (url, target, name) => {
    const spec = parseNamespaceUrl(url);
    expect(spec).toEqual({ kind: 'udp', target });
    expect(udpName(target)).toBe(name);
    expect(parseNamespaceUrl(name)).toEqual({ kind: 'udp', target: { ...target, interfaces: [] } });
  });

  it.each([
    ['udp://192.0.2.7', 'broadcast, multicast or'],
    ['udp://[ff05::1]', 'link-local group'],
    ['udp://[fe80::1]', 'link-local group'],
    ['udp://broadcast:0', '1 to 65535'],
    ['udp://broadcast:70000', '1 to 65535'],
    ['udp:?base=x', 'unknown parameter "base"'],
    ['udp:?interface=', 'name of a network interface'],
    ['udp://user@host', 'there are udp:'],
    ['udp:eth0', 'there are udp:'],
  ])('%s is refused', (url, why) => {
    expect(() => parseNamespaceUrl(url)).toThrow(why);
  });
});
