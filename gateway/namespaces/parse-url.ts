/**
 * What `--namespace` and a configuration file say, read: `mqtt://`, `mqtts://`, `mqtt+ws://`, `mqtt+wss://`, those of a
 * namespace service, `http://`, `https://`, `ws://`, `wss://`, `udp:` and `ble:`.
 * Nothing is opened here but the files that a URL names; passwords go into the result and into no message.
 *
 *   udp:?interface=eth0
 *   mqtt://one.example,two.example:1884,three.example   (nodes of one cluster)
 *   mqtts://user@broker.example:8883?base=site/rdv&ca=ca.pem&cert=me.pem&key=me.key&password-file=secret
 */
import { readFileSync } from 'node:fs';
import { InvalidArgumentError, RdvError } from '@rdv/protocol/core/errors';
import type { HttpTarget } from './http-target.js';
import type { BrokerNode, MqttTarget } from './mqtt-target.js';
import { checkBase } from './mqtt-topics.js';
import { parseUdpUrl, type UdpTarget } from './udp-target.js';

/** Which namespace, and everything needed to open it. */
export type NamespaceSpec =
  | { readonly kind: 'mqtt'; readonly target: MqttTarget }
  | { readonly kind: 'http'; readonly target: HttpTarget }
  | { readonly kind: 'udp'; readonly target: UdpTarget }
  | { readonly kind: 'ble' /** Which one; default: the first. */; readonly adapter?: string };

type Scheme = { readonly protocol: MqttTarget['protocol']; readonly port: number; readonly tls: boolean };

const SCHEMES: Readonly<Record<string, Scheme>> = {
  'mqtt:': { protocol: 'mqtt', port: 1883, tls: false },
  'mqtts:': { protocol: 'mqtts', port: 8883, tls: true },
  'mqtt+ws:': { protocol: 'ws', port: 80, tls: false },
  'mqtt+wss:': { protocol: 'wss', port: 443, tls: true },
};
/** Of a namespace service. */
const SERVICES: Readonly<Record<string, { readonly protocol: HttpTarget['protocol']; readonly port: number }>> = {
  'http:': { protocol: 'http', port: 80 },
  'https:': { protocol: 'https', port: 443 },
  'ws:': { protocol: 'ws', port: 80 },
  'wss:': { protocol: 'wss', port: 443 },
};
const KNOWN =
  'mqtt://HOST, mqtts://HOST, mqtt+ws://HOST/PATH, mqtt+wss://HOST/PATH, https://HOST, wss://HOST (http:// and ws:// without TLS), udp: and ble:';
const NODES_MAX = 8;
const TLS_PARAMETERS: readonly string[] = ['ca', 'cert', 'key'];
const SERVICE_PARAMETERS: readonly string[] = ['password-file', ...TLS_PARAMETERS];
const PARAMETERS: readonly string[] = ['base', 'version', ...SERVICE_PARAMETERS];
const VERSIONS: Readonly<Record<string, 4 | 5 | 'auto'>> = { '3.1.1': 4, '4': 4, '5': 5, '5.0': 5, auto: 'auto' };

/** A URL as it may be shown: without user, password and parameters. */
export function withoutSecrets(url: string): string {
  return url.replace(/\/\/[^/?#]*@/, '//').replace(/[?#].*$/s, '');
}

/**
 * @param url as a person wrote it
 * @param read the text of a file that the URL names; default: from disk
 * @throws InvalidArgumentError · RdvError `config` when a file cannot be read
 */
export function parseNamespaceUrl(url: string, read: (path: string) => string = readText): NamespaceSpec {
  const shown = withoutSecrets(url);
  const bad = (why: string): InvalidArgumentError => new InvalidArgumentError(`namespace "${shown}": ${why}`);
  if (/^ble:/i.test(url)) return ble(url, bad);
  if (/^udp:/i.test(url)) return { kind: 'udp', target: parseUdpUrl(url, bad) };
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(url)) throw bad(`no such form: there are ${KNOWN}`);
  const [first, ...others] = nodes(url).map((one) => readUrl(one, bad));
  const parsed = first!;
  const scheme = SCHEMES[parsed.protocol];
  const service = SERVICES[parsed.protocol];
  if (!scheme && !service) throw bad(`unknown kind "${parsed.protocol}": there are ${KNOWN}`);
  if ([parsed, ...others].some(({ hostname }) => hostname === '')) throw bad('the host is missing');
  if (others.length >= NODES_MAX) throw bad(`more than ${NODES_MAX} nodes of one cluster`);
  if (parsed.hash !== '') throw bad('"#" has no meaning here: write it as %23');
  const known = scheme ? PARAMETERS : SERVICE_PARAMETERS;
  const secure = scheme ? scheme.tls : /^(https|wss):$/.test(parsed.protocol);
  for (const key of parsed.searchParams.keys()) {
    if (!known.includes(key)) throw bad(`unknown parameter "${key}": there are ${known.join(', ')}`);
    if (parsed.searchParams.getAll(key).length > 1) throw bad(`"${key}" is given more than once`);
    if (!secure && TLS_PARAMETERS.includes(key))
      throw bad(`"${key}" needs TLS: ${scheme ? 'mqtts:// or mqtt+wss://' : 'https:// or wss://'}`);
  }
  if (service) return { kind: 'http', target: { ...servicePlace(parsed, service, bad), ...access(parsed, read, bad) } };
  if (!scheme!.protocol.startsWith('ws') && !['', '/'].includes(parsed.pathname)) {
    throw bad(`a path has no meaning here: give the topic prefix as ?base=${parsed.pathname.slice(1)}`);
  }
  const further = others.map(({ hostname, port }) => node(hostname, port, scheme!.port));
  const target = { ...place(parsed, scheme!, bad), ...access(parsed, read, bad) };
  return { kind: 'mqtt', target: further.length > 0 ? { ...target, others: further } : target };
}

function readUrl(url: string, bad: (why: string) => Error): URL {
  try {
    return new URL(url);
  } catch {
    throw bad('not a URL: check host and port');
  }
}

/** A cluster's URL names its nodes with commas between them: one URL each. */
function nodes(url: string): string[] {
  const [, before = '', hosts = '', rest = ''] = /^(mqtt[^/]*:\/\/(?:[^/?#]*@)?)([^/?#]*)(.*)$/is.exec(url) ?? [];
  return before === '' ? [url] : hosts.split(',').map((host) => `${before}${host}${rest}`);
}

function node(hostname: string, port: string, otherwise: number): BrokerNode {
  return { host: hostname.replace(/^\[(.*)\]$/, '$1'), port: port === '' ? otherwise : Number(port) };
}

function servicePlace(
  { hostname, port, pathname }: URL,
  service: { readonly protocol: HttpTarget['protocol']; readonly port: number },
  bad: (why: string) => Error,
): HttpTarget {
  const base = pathname.replace(/\/+$/, '');
  if (!/^(\/[\w.~-]{1,64}){0,8}$/.test(base)) throw bad('the path before "/1" has letters, digits and "-._~" only');
  return {
    protocol: service.protocol,
    host: hostname.replace(/^\[(.*)\]$/, '$1'),
    port: port === '' ? service.port : Number(port),
    ...(base === '' ? {} : { base }),
  };
}

function ble(url: string, bad: (why: string) => Error): NamespaceSpec {
  const adapter = url.slice('ble:'.length).replace(/^\/\//, '');
  if (adapter === '') return { kind: 'ble' };
  if (!/^[\w.:/-]{1,200}$/.test(adapter)) throw bad('after "ble:" goes the name of an adapter, e.g. ble:hci1');
  return { kind: 'ble', adapter };
}

function place(parsed: URL, scheme: Scheme, bad: (why: string) => Error): MqttTarget {
  const base = parsed.searchParams.get('base');
  const version = parsed.searchParams.get('version');
  if (version !== null && !VERSIONS[version]) throw bad('"version" is 5, 3.1.1 or auto');
  if (base !== null) {
    try {
      checkBase(base);
    } catch (error) {
      throw bad((error as Error).message);
    }
  }
  return {
    protocol: scheme.protocol,
    ...node(parsed.hostname, parsed.port, scheme.port),
    ...(scheme.protocol.startsWith('ws') ? { path: parsed.pathname.length > 1 ? parsed.pathname : '/mqtt' } : {}),
    ...(base === null ? {} : { base }),
    ...(version === null ? {} : { version: VERSIONS[version]! }),
  };
}

/** What both kinds of target have. */
type Access = Pick<HttpTarget, 'username' | 'password' | 'ca' | 'cert' | 'key'>;

function access(parsed: URL, read: (path: string) => string, bad: (why: string) => Error): Access {
  const file = (key: string): string | undefined => {
    const path = parsed.searchParams.get(key);
    return path === null ? undefined : read(path);
  };
  const [ca, cert, key] = TLS_PARAMETERS.map(file);
  if ((cert === undefined) !== (key === undefined)) throw bad('"cert" and "key" go together: give both');
  const secret = file('password-file')?.replace(/\r?\n$/, '');
  if (secret !== undefined && parsed.password !== '') throw bad('the password is given twice: leave one out');
  const decode = (text: string): string => {
    try {
      return decodeURIComponent(text);
    } catch {
      throw bad('user or password: write "%" as %25');
    }
  };
  const password = secret ?? (parsed.password === '' ? undefined : decode(parsed.password));
  if (password !== undefined && parsed.username === '') throw bad('a password needs a user: USER@HOST');
  return {
    ...(parsed.username === '' ? {} : { username: decode(parsed.username) }),
    ...(password === undefined ? {} : { password }),
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new RdvError('config', `cannot read ${path}: check the path and its rights`, { cause });
  }
}
