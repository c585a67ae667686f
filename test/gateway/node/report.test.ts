/** What a node says of itself on a broker: state and will, facts, requests, signatures; on the embedded broker. */

import { nodeTopic } from '@rdv/gateway/namespaces/mqtt-node-topics';
import { type MqttPlain, openMqttPlain } from '@rdv/gateway/namespaces/mqtt-plain';
import { Report, reportName, reportWill } from '@rdv/gateway/node/report';
import { type NodeRequest, signRequest } from '@rdv/gateway/node/signed-request';
import { type EmbeddedBroker, openEmbeddedBroker } from '@rdv/gateway/server/embedded-broker';
import { fromUtf8, utf8 } from '@rdv/protocol/core/bytes';
import { MemoryStore } from '@rdv/protocol/core/memory-store';
import { ed25519Signer } from '@rdv/protocol/identity/signing';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { bytes } from '../../contract/records.js';
import { surroundings, until } from '../../support/mqtt-rig.js';
import { TcpProxy } from '../../support/tcp-proxy.js';

const NODE = 'AAAAAAAAAAAAAA';
const operator = ed25519Signer(bytes(32));
const at = (rest: string): string => nodeTopic('rdv', NODE, rest);

let broker: EmbeddedBroker;
let proxy: TcpProxy;
let witness: MqttPlain;
const undo: (() => unknown)[] = [];
const said = new Map<string, string[]>();
const last = (rest: string): unknown => JSON.parse(said.get(at(rest))?.at(-1) ?? 'null');

beforeEach(async () => {
  broker = await openEmbeddedBroker();
  proxy = await TcpProxy.open(broker.port);
  witness = await open(broker.port);
  said.clear();
  await witness.subscribe('rdv/1/node/#', (topic, payload) => {
    said.set(topic, [...(said.get(topic) ?? []), fromUtf8(payload)]);
  });
});
afterEach(async () => {
  for (const each of undo.splice(0).reverse()) await each();
  await witness.close();
  await proxy.close();
  await broker.close();
});

async function open(port: number, will?: ReturnType<typeof reportWill>): Promise<MqttPlain> {
  const target = { protocol: 'mqtt', host: '127.0.0.1', port, version: 4 } as const;
  const topics = await openMqttPlain({ ...surroundings, target, ...(will ? { will } : {}) });
  await topics.firstAttempt;
  return topics;
}

async function reporting(
  facts: () => object = () => ({ info: { version: '1' } }),
): Promise<{ report: Report; unpublished: string[] }> {
  const topics = await open(proxy.port, reportWill('rdv', NODE));
  const unpublished: string[] = [];
  const report = new Report({
    topics,
    base: 'rdv',
    node: NODE,
    clock: surroundings.clock,
    log: surroundings.log,
    intervalMs: 20,
    operators: [operator.identity.fingerprint],
    facts: async () => facts() as Record<string, unknown>,
    reading: { info: async () => ({ version: '1' }) },
    changing: {
      unpublish: async (handle) => {
        unpublished.push(handle);
        return {};
      },
    },
  });
  undo.push(() => report.close());
  await until(() => said.has(at('info')));
  return { report, unpublished };
}

async function ask(verb: string, request: NodeRequest | string): Promise<Record<string, unknown>> {
  const before = said.get(at(`response/${verb}`))?.length ?? 0;
  await witness.publish(at(`request/${verb}`), utf8(typeof request === 'string' ? request : JSON.stringify(request)), {
    retain: false,
  });
  await until(() => (said.get(at(`response/${verb}`))?.length ?? 0) > before);
  return last(`response/${verb}`) as Record<string, unknown>;
}

it('says that it is there, what it is, and what has changed; nothing twice', async () => {
  let heard = 1;
  await reporting(() => ({ info: { version: '1' }, health: { heard: heard < 3 ? heard++ : heard } }));
  await until(() => said.get(at('health'))?.length === 3);
  expect(last('state')).toEqual({ state: 'online' });
  expect(said.get(at('info'))).toEqual(['{"version":"1"}']);
  // Whoever comes later is told as well.
  const late = await open(broker.port);
  const kept: string[] = [];
  await late.subscribe('rdv/1/node/+/state', (_topic, payload) => kept.push(fromUtf8(payload)));
  await until(() => kept.length === 1);
  await late.close();
});

it('is offline when it goes without a word, and online again when it is back, with all facts', async () => {
  await reporting();
  proxy.break();
  await until(() => said.get(at('state'))?.at(-1) === '{"state":"offline"}');
  proxy.mend();
  await until(() => said.get(at('state'))?.at(-1) === '{"state":"online"}' && said.get(at('info'))?.length === 2);
});

it('goes on when something cannot be told at the moment', async () => {
  let asked = 0;
  await reporting(() => {
    if (++asked === 2) throw new Error('not now');
    return { info: { version: '1' }, health: { asked } };
  });
  await until(() => asked > 3 && (last('health') as { asked: number }).asked > 2);
});

it('says goodbye', async () => {
  const { report } = await reporting();
  await report.close();
  await until(() => said.get(at('state'))?.at(-1) === '{"state":"offline"}');
});

it('answers what anybody may ask, with the transaction of the question', async () => {
  await reporting();
  expect(await ask('info', { transaction: 'one' })).toEqual({ transaction: 'one', ok: { version: '1' } });
  expect(await ask('erase', { transaction: 'two' })).toMatchObject({
    transaction: 'two',
    error: { code: 'unsupported' },
  });
  for (const bad of [
    '',
    '{',
    '[]',
    'null',
    '{}',
    '{"transaction":""}',
    `{"transaction":"${'x'.repeat(65)}"}`,
    '{"transaction":"a","argument":1}',
    `"${'x'.repeat(5000)}"`,
  ]) {
    expect(await ask('info', bad), bad).toMatchObject({ error: { code: 'malformed' } });
  }
});

it('changes something for operators alone, once, and only what they signed', async () => {
  const { unpublished } = await reporting();
  const sign = (request: NodeRequest, verb = 'unpublish', node = NODE, signer = operator) =>
    signRequest(node, verb, request, signer, surroundings.clock);
  const wanted = { transaction: 'one', argument: 'h1' };
  const signed = await sign(wanted);
  const forged: [string, NodeRequest][] = [
    ['unsigned', wanted],
    ['a stranger', await sign(wanted, 'unpublish', NODE, ed25519Signer(bytes(32)))],
    ['another argument', { ...signed, argument: 'h2' }],
    ['another transaction', { ...signed, transaction: 'two' }],
    ['another verb', await sign(wanted, 'list')],
    ['another node', await sign(wanted, 'unpublish', 'BBBBBBBBBBBBBB')],
    ['another time', { ...signed, at: signed.at! + 1 }],
    [
      'long ago',
      await signRequest(NODE, 'unpublish', wanted, operator, {
        ...surroundings.clock,
        now: () => Date.now() - 120_000,
      }),
    ],
    ['a broken signature', { ...signed, signature: `${signed.signature!.slice(0, -2)}ff` }],
    ['no hex', { ...signed, signature: 'zz', key: 'zz' }],
  ];
  for (const [what, request] of forged) {
    expect(await ask('unpublish', request), what).toMatchObject({ error: { code: 'not-authorized' } });
  }
  expect(unpublished).toEqual([]);
  expect(await ask('unpublish', signed)).toEqual({ transaction: 'one', ok: {} });
  expect(await ask('unpublish', signed)).toMatchObject({ error: { message: expect.stringContaining('before') } });
  expect(unpublished).toEqual(['h1']);
});

it('answers a flood with what its bucket holds', async () => {
  const began = performance.now();
  await reporting();
  for (let i = 0; i < 200; i++)
    void witness.publish(at('request/info'), utf8('{"transaction":"x"}'), { retain: false });
  await until(() => (said.get(at('response/info'))?.length ?? 0) >= 20);
  const queue = 'rdv/1/node/flush';
  await witness.publish(queue, utf8('x'), { retain: false });
  await until(() => said.has(queue));
  // Twenty at once, and two a second.
  const seconds = (performance.now() - began) / 1000;
  expect(said.get(at('response/info'))!.length).toBeLessThanOrEqual(20 + 2 * seconds);
});

it('keeps its name, which is random', async () => {
  const store = new MemoryStore();
  const name = await reportName(store, surroundings.random);
  expect(await reportName(store, surroundings.random)).toBe(name);
  expect(await reportName(new MemoryStore(), surroundings.random)).not.toBe(name);
});
