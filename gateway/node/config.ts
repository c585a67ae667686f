/**
 * What may stand in a node's configuration file, and what it means. Validation lists every fault at once, each
 * with its path; unknown keys are faults, because a misspelt one would silently do nothing.
 */
import { AHEAD_EPOCHS_MAX } from '@rdv/protocol/core/constants';
import { RdvError } from '@rdv/protocol/core/errors';
// valibot: small schema validation with typed results, no dependencies
import * as v from 'valibot';
import { boardPortOf } from './board-adapter.js';
import { type JoinConfig, OWN_SERVICE } from './join-role.js';
import { DEFAULT_LISTEN, limitNames, type ServerConfig, type ServerLimitName } from './server-config.js';

export type HandlerConfig = { reply: string } | { exec: string } | { socket: string };

export interface PublicationConfig {
  readonly tag?: string | undefined;
  readonly 'tag-file'?: string | undefined;
  readonly title?: string | undefined;
  readonly realm: string;
  readonly lifecycle: 'unlimited' | 'single' | { readonly limit: number };
  /** Seconds. */
  readonly ttl?: number | undefined;
  /** Days whose records are out ahead of time: for a node that sleeps. */
  readonly ahead?: number | undefined;
  readonly namespaces?: readonly string[] | undefined;
  readonly bridge?: 'none' | 'trusted' | 'any' | undefined;
  /** Whether the beacon carries it on the air; default: not single-shots that have another namespace. */
  readonly advertise?: boolean | undefined;
  /** Conversations outlive restarts; `history`: what was said can be read again. Default: ephemeral. */
  readonly durable?: boolean | 'history' | undefined;
  /** What vouches for the publication (SPEC §6): a key file, `agent:`, `cmd:PROGRAM`, or that with its certificates. */
  readonly identity?: IdentityConfig | undefined;
  /** Only responders who prove to hold one of these keys, or a certificate under `roots`, get a conversation. */
  readonly allow?: readonly string[] | undefined;
  /** Files of root certificates, and of revocation lists, that `allow` and its certificates count by. */
  readonly roots?: readonly string[] | undefined;
  readonly crl?: readonly string[] | undefined;
  readonly handler: HandlerConfig;
}

export type IdentityConfig =
  | string
  | {
      readonly key: string;
      /** Files in PEM: certificates, leaf first; and the public key, where nothing else tells it. */
      readonly chain?: string | undefined;
      readonly 'public-key'?: string | undefined;
    };

/** A beacon board that is attached now and then: it is kept in step whenever it is. */
export interface BoardConfig {
  /** Serial port; a name under /dev/serial/by-id stays the same when others are plugged in. */
  readonly port: string;
  /** What it shall carry; with neither it gets the time, and keeps what it has. */
  readonly tag?: string | undefined;
  readonly 'tag-file'?: string | undefined;
  readonly realm: string;
  readonly 'interval-ms': number;
  /** dBm. */
  readonly power: number;
  /** dBm at 0 m; default: the board's estimate. */
  readonly calibrated?: number | undefined;
  readonly format: 'native' | 'eddystone';
  readonly resume: boolean;
}

export interface NodeConfig {
  readonly version: 1;
  readonly state?: string | undefined;
  readonly namespaces: readonly string[];
  /** Seconds that brokers keep what comes while this node is away; default: where something is `ahead`, two days more than that. */
  readonly 'keep-session'?: number | undefined;
  readonly roles: {
    readonly beacon?:
      | {
          readonly adapter: string;
          readonly 'interval-ms': number;
          /** Node keys (hex) of the gateways that `bridge: trusted` trusts. */
          readonly 'trusted-gateways': readonly string[];
          readonly slots: number;
          /** Another adapter, which listens whether the beacon is on the air; default: the gateway's. */
          readonly 'proof-adapter'?: string | undefined;
        }
      | undefined;
    readonly gateway?: { readonly adapter: string; readonly namespace: string } | undefined;
    /** A namespace service in the node's process. */
    readonly server?: ServerConfig | undefined;
  };
  readonly publications: readonly PublicationConfig[];
  /** Namespaces that this node joins, pair by pair: what is asked for on one side is brought from the other (SPEC §9.6). */
  readonly joins: readonly JoinConfig[];
  readonly boards: readonly BoardConfig[];
  /** What this node says of itself, and of beacons that its gateway role hears, on a broker (SPEC §10). Default: nothing. */
  readonly report?:
    | {
        readonly namespace: string;
        /** Seconds between two reports of health. */
        readonly interval: number;
        /** Keys, in any spelling that a tag can have, whose holders may list and unpublish. */
        readonly operators: readonly string[];
        /** Where this node stands, for people; goes with sightings. */
        readonly place?: string | undefined;
      }
    | undefined;
  readonly 'trust-clock': boolean;
  readonly log: 'debug' | 'info' | 'warn' | 'error';
}

const text = v.pipe(v.string(), v.nonEmpty('must not be empty'));
const url = v.pipe(
  v.string(),
  v.regex(
    /^(mqtts?|mqtt\+wss?|https?|wss?):\/\/\S+$|^udp:\S*$|^ble:$/,
    'must be mqtt(s)://…, mqtt+ws(s)://…, http(s)://…, ws(s)://…, udp: or ble:',
  ),
);
/** What a bridge can lead to. */
const joinable = v.union([v.literal(OWN_SERVICE), url], 'must be a namespace, or server: for the own service');
const broker = (why: string) => v.pipe(url, v.regex(/^mqtt/, `must be an MQTT broker: ${why}`));
const duration = v.pipe(
  v.union([
    v.pipe(v.number(), v.minValue(1)),
    v.pipe(v.string(), v.regex(/^\d+(s|m|h|d)$/, 'must be seconds, or like 90s, 15m, 12h, 7d')),
  ]),
  v.transform((value) => (typeof value === 'number' ? value : parseDuration(value))),
);
const key = v.pipe(
  v.string(),
  v.regex(/^[0-9a-f]{64}$/, 'must be a node key: 64 hexadecimal digits, see "rdv status"'),
);
const handler = v.union(
  [v.strictObject({ reply: v.string() }), v.strictObject({ exec: text }), v.strictObject({ socket: text })],
  'must be one of reply, exec, socket',
);

const count = v.pipe(v.number(), v.integer(), v.minValue(1));
type LimitEntries = Readonly<Record<ServerLimitName, v.OptionalSchema<typeof count, undefined>>>;
const server = v.strictObject({
  listen: v.optional(
    v.pipe(v.string(), v.regex(/^((\[[0-9a-fA-F:.]+\]|[\w.-]+):)?\d{1,5}$/, 'must be HOST:PORT, [::]:PORT or PORT')),
    DEFAULT_LISTEN,
  ),
  base: v.optional(v.pipe(v.string(), v.regex(/^(\/[\w.~-]{1,64}){1,8}$/, 'must be a path like /meet'))),
  tls: v.optional(v.strictObject({ cert: text, key: text })),
  database: v.optional(text),
  origins: v.optional(v.pipe(v.array(text), v.minLength(1))),
  'trusted-proxies': v.optional(v.pipe(v.array(text), v.minLength(1))),
  limits: v.optional(
    v.strictObject(Object.fromEntries(limitNames().map((name) => [name, v.optional(count)])) as LimitEntries),
  ),
});

const publication = v.strictObject({
  tag: v.optional(v.string()),
  'tag-file': v.optional(text),
  title: v.optional(v.string()),
  realm: v.optional(v.string(), ''),
  lifecycle: v.optional(
    v.union(
      [
        v.literal('unlimited'),
        v.literal('single'),
        v.strictObject({ limit: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535)) }),
      ],
      'must be unlimited, single, or {limit: N}',
    ),
    'unlimited',
  ),
  ttl: v.optional(duration),
  ahead: v.optional(
    v.pipe(
      v.number(),
      v.integer(),
      v.minValue(0),
      v.maxValue(AHEAD_EPOCHS_MAX, `must be 0 to ${AHEAD_EPOCHS_MAX} days`),
    ),
  ),
  namespaces: v.optional(v.pipe(v.array(url), v.minLength(1))),
  bridge: v.optional(v.picklist(['none', 'trusted', 'any'])),
  advertise: v.optional(v.boolean()),
  durable: v.optional(v.union([v.boolean(), v.literal('history')], 'must be true, false or history')),
  identity: v.optional(
    v.union(
      [text, v.strictObject({ key: text, chain: v.optional(text), 'public-key': v.optional(text) })],
      'must be a key file, agent:, cmd:PROGRAM, or a mapping with key, chain and public-key',
    ),
  ),
  allow: v.optional(v.pipe(v.array(text), v.minLength(1, 'must name somebody'))),
  roots: v.optional(v.pipe(v.array(text), v.minLength(1))),
  crl: v.optional(v.pipe(v.array(text), v.minLength(1))),
  handler,
});

const board = v.strictObject({
  port: text,
  tag: v.optional(v.string()),
  'tag-file': v.optional(text),
  realm: v.optional(v.string(), ''),
  'interval-ms': v.optional(v.pipe(v.number(), v.integer(), v.minValue(100), v.maxValue(10_240)), 1000),
  power: v.optional(v.pipe(v.number(), v.integer(), v.minValue(-40), v.maxValue(20)), 0),
  calibrated: v.optional(v.pipe(v.number(), v.integer(), v.minValue(-100), v.maxValue(20))),
  format: v.optional(v.picklist(['native', 'eddystone']), 'native'),
  resume: v.optional(v.boolean(), false),
});

const amount = (max: number) => v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(max)));
const join = v.strictObject({
  between: v.pipe(
    v.array(joinable),
    v.length(2, 'must be two namespaces: ["udp:", "mqtt://HOST"]'),
    v.check(([one, two]) => one !== two, 'must be two different namespaces'),
    v.check((both) => !both.includes('ble:'), 'must not be ble:, which roles.gateway joins with another namespace'),
    v.transform(([one, two]) => [one!, two!] as const),
  ),
  quota: v.optional(
    v.strictObject({ frames: amount(1e6), bytes: amount(1e9), queues: amount(65_536), records: amount(65_536) }),
  ),
});

const schema = v.strictObject({
  version: v.literal(1, 'must be 1'),
  state: v.optional(text),
  namespaces: v.optional(v.array(url), []),
  'keep-session': v.optional(duration),
  roles: v.optional(
    v.strictObject({
      beacon: v.optional(
        v.strictObject({
          adapter: text,
          'interval-ms': v.optional(v.pipe(v.number(), v.minValue(20), v.maxValue(10_240)), 200),
          'trusted-gateways': v.optional(v.array(key), []),
          slots: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(8)), 4),
          'proof-adapter': v.optional(text),
        }),
      ),
      gateway: v.optional(
        v.strictObject({
          adapter: text,
          namespace: v.pipe(
            joinable,
            v.check((where) => where !== 'ble:', 'must be where the gateway brings what it hears'),
          ),
        }),
      ),
      server: v.optional(server),
    }),
    {},
  ),
  publications: v.optional(v.array(publication), []),
  joins: v.optional(v.pipe(v.array(join), v.maxLength(16, 'must be at most 16')), []),
  boards: v.optional(v.pipe(v.array(board), v.maxLength(16, 'must be at most 16')), []),
  report: v.optional(
    v.strictObject({
      namespace: broker('a node reports to an MQTT broker'),
      interval: v.optional(duration, '60s'),
      operators: v.optional(v.array(text), []),
      place: v.optional(v.pipe(text, v.maxLength(64))),
    }),
  ),
  'trust-clock': v.optional(v.boolean(), false),
  log: v.optional(v.picklist(['debug', 'info', 'warn', 'error']), 'info'),
});

const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };
const MOST_SECONDS = 3660 * 86_400;

/** Seconds of `90`, `90s`, `15m`, `12h` or `7d`. @throws RdvError `invalid-argument` */
export function parseDuration(value: string): number {
  const match = /^(\d+)(s|m|h|d)?$/.exec(value);
  if (!match) {
    throw new RdvError('invalid-argument', `"${value}" is no duration: write seconds, or like 90s, 15m, 12h, 7d`);
  }
  const seconds = Number(match[1]) * UNIT_SECONDS[match[2] ?? 's']!;
  if (seconds < 1 || seconds > MOST_SECONDS) {
    throw new RdvError('invalid-argument', `"${value}" is not between 1s and 3660d`);
  }
  return seconds;
}

/** `value` as a configuration, defaults filled in. @throws RdvError `config` naming every fault with its path */
export function validateConfig(value: unknown, where: string): NodeConfig {
  const result = v.safeParse(schema, value);
  if (!result.success) {
    const faults = result.issues.map((issue) => {
      const path = issue.path?.map((item) => String(item.key)).join('.') ?? '(top level)';
      const message =
        issue.type !== 'strict_object'
          ? issue.message
          : issue.expected === 'never'
            ? 'is not known here: is it misspelt?'
            : issue.received === 'undefined'
              ? 'is missing'
              : 'must be a mapping';
      return `${path}: ${message}`;
    });
    throw new RdvError('config', `${where}: ${faults.join('; ')}`);
  }
  const config: NodeConfig = result.output;
  config.publications.forEach((entry, index) => {
    if ((entry.tag === undefined) === (entry['tag-file'] === undefined)) {
      throw new RdvError('config', `${where}: publications.${index}: give exactly one of tag and tag-file`);
    }
  });
  const ports = new Set<string>();
  config.boards.forEach((entry, index) => {
    if (entry.tag !== undefined && entry['tag-file'] !== undefined) {
      throw new RdvError('config', `${where}: boards.${index}: give tag or tag-file, not both`);
    }
    if (ports.has(entry.port)) throw new RdvError('config', `${where}: boards.${index}: this port is there twice`);
    ports.add(entry.port);
  });
  const wantsServer = [config.roles.gateway?.namespace, ...config.joins.flatMap(({ between }) => between)];
  if (wantsServer.includes(OWN_SERVICE) && !config.roles.server) {
    throw new RdvError('config', `${where}: "server:" is this node's own service: it needs roles.server`);
  }
  const wantsBle =
    config.publications.some((entry) => entry.namespaces?.includes('ble:')) || config.namespaces.includes('ble:');
  if (wantsBle && !config.roles.beacon) {
    throw new RdvError('config', `${where}: a namespace "ble:" needs roles.beacon with an adapter`);
  }
  if (wantsBle && boardPortOf(config.roles.beacon?.adapter) !== undefined) {
    throw new RdvError('config', `${where}: a board only advertises: a namespace "ble:" needs an adapter, as hci0`);
  }
  return config;
}
