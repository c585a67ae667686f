/**
 * Who may do what on a broker that serves RDV (SPEC §10): rules, and their spelling for the brokers that people run. A
 * broker cannot see who owns a record; it can keep strangers from writing any, and, where its rules tell a filter from
 * the topics that it matches, everybody from listing what is there.
 */
import { InvalidArgumentError } from '@rdv/protocol/core/errors';
import { checkBase } from './mqtt-topics.js';

export type AclFormat = 'mosquitto' | 'mosquitto-dynsec' | 'nats' | 'emqx';

export const ACL_FORMATS: readonly AclFormat[] = ['mosquitto', 'mosquitto-dynsec', 'nats', 'emqx'];

export interface AclOptions {
  /** The deployment's topic prefix; default `rdv`. */
  readonly base: string;
  /** Broker users who may publish tags: kiosks, gateways, whoever runs `rdv publish`. */
  readonly publishers: readonly string[];
  /** Broker users who may respond, and nothing else. */
  readonly responders: readonly string[];
  /** Broker users who may read what nodes say of themselves, and ask them. */
  readonly operators: readonly string[];
  /** Whether anybody may respond without a user. */
  readonly open: boolean;
}

/** A publisher is a responder, too. */
type Role = 'responder' | 'publisher' | 'operator';

interface Rule {
  readonly may: 'read' | 'write';
  readonly filter: string;
  /** The filter itself, with its wildcards, is nobody's to subscribe to: ids have to be known. */
  readonly exact?: boolean;
}

function rulesOf(base: string): Readonly<Record<Role, readonly Rule[]>> {
  const at = (rest: string): string => `${checkBase(base)}/1/${rest}`;
  return {
    responder: [
      { may: 'read', filter: at('r/+/+'), exact: true },
      { may: 'read', filter: at('q/+'), exact: true },
      { may: 'write', filter: at('q/+') },
      { may: 'read', filter: at('s/+/+'), exact: true },
    ],
    publisher: [
      { may: 'write', filter: at('r/+/+') },
      { may: 'write', filter: at('s/+/+') },
      { may: 'write', filter: at('node/#') },
      { may: 'read', filter: at('node/+/request/#') },
    ],
    operator: [
      { may: 'read', filter: at('node/#') },
      { may: 'write', filter: at('node/+/request/#') },
    ],
  };
}

const head = (what: string): readonly string[] => [
  `# RDV: ${what}.`,
  '# Publishers write records; responders look them up by exact id and talk; operators read what nodes say of',
  '# themselves; nobody else does anything. One publisher can overwrite the records of another (which denies, and',
  '# forges nothing).',
];

/**
 * The rules as a text for `format`.
 * @throws InvalidArgumentError for names that would break the format, nobody to publish, or `open` where the broker's
 * rules cannot tell an exact id from a wildcard, so that strangers could list everything
 */
export function formatAcl(format: AclFormat, options: AclOptions): string {
  const { publishers, responders, operators, open } = options;
  for (const user of [...publishers, ...responders, ...operators]) {
    if (!/^[A-Za-z0-9._@-]{1,64}$/.test(user)) {
      throw new InvalidArgumentError(`"${user}" is no user name here: letters, digits and . _ @ - only`);
    }
  }
  if (publishers.length === 0)
    throw new InvalidArgumentError('name at least one user who may publish: --publisher NAME');
  if (open && (format === 'mosquitto' || format === 'nats')) {
    throw new InvalidArgumentError(
      `the rules of ${format} do not tell an exact id from a wildcard, so strangers could list everything: leave out --open, or use mosquitto-dynsec or emqx`,
    );
  }
  const rules = rulesOf(options.base);
  const users = new Map<string, Role[]>();
  const give = (names: readonly string[], role: Role): void => {
    for (const name of names) users.set(name, [...(users.get(name) ?? []), role]);
  };
  give([...new Set([...publishers, ...responders])], 'responder');
  give([...new Set(publishers)], 'publisher');
  give([...new Set(operators)], 'operator');
  const granted = (name: string): readonly Rule[] => (users.get(name) ?? []).flatMap((role) => rules[role]);
  const lines = { mosquitto, 'mosquitto-dynsec': dynsec, nats, emqx }[format](users, granted, rules, open);
  return `${lines.join('\n')}\n`;
}

type Writer = (
  users: ReadonlyMap<string, readonly Role[]>,
  granted: (user: string) => readonly Rule[],
  rules: Readonly<Record<Role, readonly Rule[]>>,
  open: boolean,
) => readonly string[];

/** mosquitto's `acl_file`. It judges each message, not the filter: who has a user can list what is there. */
const mosquitto: Writer = (users, granted) => [
  ...head('acl_file of mosquitto, with allow_anonymous false'),
  '# Users can list ids with wildcards (acl_file does not judge filters): mosquitto-dynsec keeps them from it.',
  ...[...users.keys()].flatMap((user) => [
    '',
    `user ${user}`,
    ...granted(user).map(({ may, filter }) => `topic ${may} ${filter}`),
  ]),
];

/** Calls that build the same in mosquitto's dynamic security plugin, which judges filters, too. */
const dynsec: Writer = (users, _granted, rules, open) => {
  const call = (...words: string[]): string =>
    `dynsec ${words.map((word) => (/[+#]/.test(word) ? `'${word}'` : word)).join(' ')}`;
  const acls = ({ may, filter, exact }: Rule): string[][] =>
    may === 'write'
      ? [['publishClientSend', filter, 'allow', '0']]
      : [
          ['publishClientReceive', filter, 'allow', '0'],
          ['subscribePattern', filter, 'allow', '0'],
          ...(exact ? [['subscribeLiteral', filter, 'deny', '1']] : []),
        ];
  return [
    '#!/bin/sh',
    ...head('calls for the dynamic security plugin of mosquitto 2'),
    '# Run it once, with what mosquitto_ctrl needs to reach the broker: sh FILE -h HOST -u ADMIN',
    '# Users that are not there yet are made first: mosquitto_ctrl … dynsec createClient NAME',
    'set -eu',
    'dynsec() { mosquitto_ctrl $CONNECT dynsec "$@"; }',
    'CONNECT="$*"',
    call('setDefaultACLAccess', 'publishClientSend', 'deny'),
    call('setDefaultACLAccess', 'publishClientReceive', 'deny'),
    call('setDefaultACLAccess', 'subscribe', 'deny'),
    ...(Object.keys(rules) as Role[]).flatMap((role) => [
      call('createRole', `rdv-${role}`),
      ...rules[role].flatMap(acls).map((acl) => call('addRoleACL', `rdv-${role}`, ...acl)),
    ]),
    ...[...users].flatMap(([user, roles]) => roles.map((role) => call('addClientRole', user, `rdv-${role}`))),
    ...(open
      ? [
          call('createGroup', 'rdv-anybody'),
          call('addGroupRole', 'rdv-anybody', 'rdv-responder'),
          call('setAnonymousGroup', 'rdv-anybody'),
        ]
      : []),
  ];
};

/** How nats-server spells MQTT's filters as subjects. */
const SUBJECT: Readonly<Record<string, string>> = { '/': '.', '.': '//', '+': '*', '#': '>' };
const subject = (filter: string): string => filter.replaceAll(/[/.+#]/g, (sign) => SUBJECT[sign]!);

/** The `authorization` block of nats-server with its MQTT listener. Users can list ids, as with acl_file. */
const nats: Writer = (users, granted) => {
  const list = (filters: readonly string[]): string =>
    `[${filters.map((filter) => JSON.stringify(filter)).join(', ')}]`;
  return [
    ...head('authorization of nats-server (include it; give each user a password)'),
    '# Users can list ids with wildcards (NATS does not tell a filter from what it matches).',
    'authorization {',
    '  users = [',
    ...[...users.keys()].flatMap((user) => {
      const filters = (may: Rule['may']): string[] =>
        granted(user)
          .filter((rule) => rule.may === may)
          .map(({ filter }) => subject(filter));
      return [
        '    {',
        `      user: ${JSON.stringify(user)}, password: $RDV_PASSWORD_${user.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')}`,
        '      permissions {',
        `        publish: { allow: ${list(filters('write'))} }`,
        // QoS 1 is delivered through subjects of the listener's own.
        `        subscribe: { allow: ${list([...filters('read'), '$MQTT.sub.>'])} }`,
        '      }',
        '    }',
      ];
    }),
    '  ]',
    '}',
  ];
};

/** EMQX's acl.conf: first match decides; `eq` takes a filter by the letter. */
const emqx: Writer = (users, granted, rules, open) => {
  const wildcards = rules.responder.filter(({ exact }) => exact).map(({ filter }) => `{eq, "${filter}"}`);
  const allow = (who: string, list: readonly Rule[]): string[] =>
    list.map(({ may, filter }) => `{allow, ${who}, ${may === 'write' ? 'publish' : 'subscribe'}, ["${filter}"]}.`);
  return [
    ...head('acl.conf of EMQX 5').map((line) => line.replace('#', '%%')),
    `{deny, all, subscribe, [${wildcards.join(', ')}]}.`,
    ...[...users.keys()].flatMap((user) => allow(`{username, "${user}"}`, granted(user))),
    ...(open ? allow('all', rules.responder) : []),
    '{deny, all}.',
  ];
};
