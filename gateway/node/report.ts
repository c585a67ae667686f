/**
 * What a node says of itself on a broker (SPEC §10 Nodes): retained state with a last will, info, health and adapters,
 * and answers to requests. Over a connection of its own and under a random name, so that it links no rendezvous to the
 * node. It says nothing of tags, keys, addresses or other brokers: what is said is its owner's (`facts`).
 */
import { fromUtf8, toBase64Url, utf8 } from '@rdv/protocol/core/bytes';
import { RdvError, toRdvError } from '@rdv/protocol/core/errors';
import type { Clock, Logger, Random, Store, Timer } from '@rdv/protocol/core/ports';
import { TokenBucket } from '@rdv/protocol/core/token-bucket';
import { NODE_NAME, NODE_NAME_BYTES, nodeTopic, parseNodeTopic } from '../namespaces/mqtt-node-topics.js';
import type { MqttPlain } from '../namespaces/mqtt-plain.js';
import { type NodeRequest, RequestJudge } from './signed-request.js';

/** Answers one request. `argument` is at most 256 characters, as received. */
export type ReportVerb = (argument: string) => Promise<unknown>;

export interface ReportOptions {
  readonly topics: MqttPlain;
  readonly base: string;
  readonly node: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly intervalMs: number;
  /** What stands below the node's topic. Asked at every interval; what is unchanged is not sent again. */
  readonly facts: () => Promise<Readonly<Record<string, unknown>>>;
  /** For everybody who may write to the broker. */
  readonly reading: Readonly<Record<string, ReportVerb>>;
  /** For operators. */
  readonly changing: Readonly<Record<string, ReportVerb>>;
  /** Fingerprints (32 bytes) of the operators' keys. */
  readonly operators: readonly Uint8Array[];
}

const REQUEST_MAX_BYTES = 4096;
const REQUESTS = { burst: 20, perSecond: 2 } as const;
const STORE_KEY = 'report/node';

const json = (value: unknown): Uint8Array => utf8(JSON.stringify(value));
const online = json({ state: 'online' });
const offline = json({ state: 'offline' });

/** This node's name on brokers: random, kept in the store. */
export async function reportName(store: Store, random: Random): Promise<string> {
  const known = store.get(STORE_KEY);
  const name = known && fromUtf8(known);
  if (name !== undefined && NODE_NAME.test(name)) return name;
  const fresh = toBase64Url(random(NODE_NAME_BYTES));
  await store.commit([{ key: STORE_KEY, value: utf8(fresh) }]);
  return fresh;
}

/** The last will that the connection has to carry. */
export function reportWill(base: string, node: string): { readonly topic: string; readonly payload: Uint8Array } {
  return { topic: nodeTopic(base, node, 'state'), payload: offline };
}

/** @throws RdvError `malformed` */
function decodeRequest(payload: Uint8Array): NodeRequest {
  const bad = (why: string): RdvError => new RdvError('malformed', `a request is JSON with a transaction: ${why}`);
  if (payload.length > REQUEST_MAX_BYTES) throw bad(`at most ${REQUEST_MAX_BYTES} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(fromUtf8(payload));
  } catch (cause) {
    throw new RdvError('malformed', 'a request is JSON', { cause });
  }
  if (typeof value !== 'object' || value === null) throw bad('it is none');
  const { transaction, argument, at, key, signature } = value as Record<string, unknown>;
  const text = (what: unknown, most: number): what is string => typeof what === 'string' && what.length <= most;
  if (!text(transaction, 64) || transaction === '') throw bad('"transaction" has 1 to 64 characters');
  if (argument !== undefined && !text(argument, 256)) throw bad('"argument" is text of at most 256 characters');
  const signed = Number.isSafeInteger(at) && text(key, 1200) && text(signature, 1200);
  return {
    transaction,
    ...(argument === undefined ? {} : { argument }),
    ...(signed ? { at: at as number, key, signature } : {}),
  };
}

export class Report {
  readonly #options: ReportOptions;
  readonly #judge: RequestJudge;
  readonly #bucket: TokenBucket;
  #said = new Map<string, string>();
  #timer: Timer | undefined;
  #closed = false;

  constructor(options: ReportOptions) {
    const { topics, clock, node, operators, base } = options;
    this.#options = options;
    this.#judge = new RequestJudge(node, operators, clock);
    this.#bucket = new TokenBucket(clock, REQUESTS);
    topics.onUp(() => {
      // The broker may have forgotten all of it, and has published the will.
      this.#said.clear();
      this.#publish('state', online);
      this.#tellSoon();
    });
    topics
      .subscribe(nodeTopic(base, node, 'request/+'), (topic, payload) => {
        const rest = parseNodeTopic(base, topic)?.rest.split('/');
        if (rest?.[0] === 'request' && rest[1] !== undefined && rest.length === 2) void this.#answer(rest[1], payload);
      })
      .catch((error: unknown) => options.log.warn('requests cannot be received', { code: toRdvError(error).code }));
    this.#timer = clock.schedule(options.intervalMs, () => this.#beat());
  }

  #beat(): void {
    this.#timer = this.#options.clock.schedule(this.#options.intervalMs, () => this.#beat());
    this.#tellSoon();
  }

  #publish(rest: string, payload: Uint8Array, retain = true): void {
    const { topics, base, node, log } = this.#options;
    void topics
      .publish(nodeTopic(base, node, rest), payload, { retain })
      .catch((error: unknown) => log.debug('the broker did not take a report', { code: toRdvError(error).code }));
  }

  #tellSoon(): void {
    this.#tell().catch((error: unknown) => {
      this.#options.log.warn('what this node is could not be told', { code: toRdvError(error).code });
    });
  }

  async #tell(): Promise<void> {
    if (!this.#options.topics.up) return;
    const facts = await this.#options.facts();
    if (this.#closed) return;
    for (const [rest, value] of Object.entries(facts)) {
      const text = JSON.stringify(value);
      if (this.#said.get(rest) === text) continue;
      this.#said.set(rest, text);
      this.#publish(rest, utf8(text));
    }
  }

  async #answer(verb: string, payload: Uint8Array): Promise<void> {
    if (this.#closed || this.#bucket.take() > 0) return;
    const { reading, changing, log } = this.#options;
    let transaction: string | undefined;
    let answer: object;
    try {
      const request = decodeRequest(payload);
      transaction = request.transaction;
      const change = Object.hasOwn(changing, verb) ? changing[verb] : undefined;
      const work = change ?? (Object.hasOwn(reading, verb) ? reading[verb] : undefined);
      if (!work) {
        const verbs = [...Object.keys(reading), ...Object.keys(changing)].join(', ');
        throw new RdvError('unsupported', `this node knows no such request: there are ${verbs}`);
      }
      if (change) {
        await this.#judge.check(verb, request);
        log.info('an operator asked', { verb });
      }
      answer = { ok: await work(request.argument ?? '') };
    } catch (error) {
      const { code, message } = toRdvError(error);
      answer = { error: { code, message } };
    }
    // A verb that nobody could write in a topic gets no topic of its own.
    if (/^[a-z-]{1,32}$/.test(verb)) this.#publish(`response/${verb}`, json({ transaction, ...answer }), false);
  }

  /** Says goodbye. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#timer?.cancel();
    const { topics, base, node } = this.#options;
    if (topics.up) await topics.publish(nodeTopic(base, node, 'state'), offline, { retain: true }).catch(() => {});
    await topics.close();
  }
}
