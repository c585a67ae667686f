/**
 * Requests to a node over a broker that change something are signed by an operator's key (SPEC §10 Nodes). What is
 * signed names the node, the verb, a transaction of the asker's and the time, so that nothing can be handed on,
 * turned into something else, or played again.
 */
import { concat, fromHex, toHex, utf8 } from '@rdv/protocol/core/bytes';
import { encodeCbor } from '@rdv/protocol/core/cbor';
import { RdvError } from '@rdv/protocol/core/errors';
import type { Clock } from '@rdv/protocol/core/ports';
import type { Signer } from '@rdv/protocol/identity/api';
import { signWith, verifySignature } from '@rdv/protocol/identity/signing';
import { publicIdentity } from '@rdv/protocol/identity/spki';

/** A request as it stands in its topic's payload, but for the verb, which stands in the topic. */
export interface NodeRequest {
  /** 1 to 64 characters of the asker's, unique. */
  readonly transaction: string;
  /** What the verb is about, e.g. a publication's handle; up to 256 characters. */
  readonly argument?: string | undefined;
  /** Unix seconds. With `key` (DER SubjectPublicKeyInfo) and `signature`, both in hex, it is signed. */
  readonly at?: number | undefined;
  readonly key?: string | undefined;
  readonly signature?: string | undefined;
}

const LABEL = utf8('rdv1 request');
const WINDOW_SECONDS = 60;
const REMEMBERED_MAX = 1024;

function signedBytes(node: string, verb: string, request: NodeRequest): Uint8Array {
  const { transaction, argument = '', at = 0 } = request;
  return concat(LABEL, new Uint8Array(1), encodeCbor([node, verb, transaction, argument, at]));
}

/** @throws AuthenticationError when the signer fails */
export async function signRequest(
  node: string,
  verb: string,
  request: NodeRequest,
  signer: Signer,
  clock: Clock,
): Promise<NodeRequest> {
  const whole = { ...request, at: Math.floor(clock.now() / 1000) };
  const signature = await signWith(signer, signedBytes(node, verb, whole), clock);
  return { ...whole, key: toHex(signer.identity.spki), signature: toHex(signature) };
}

/** Judges signatures, and remembers what it has let pass for as long as it could be played again. */
export class RequestJudge {
  readonly #node: string;
  readonly #operators: readonly Uint8Array[];
  readonly #clock: Clock;
  readonly #passed = new Map<string, number>();

  /** @param operators fingerprints (32 bytes) of the keys that may change something */
  constructor(node: string, operators: readonly Uint8Array[], clock: Clock) {
    this.#node = node;
    this.#operators = operators;
    this.#clock = clock;
  }

  /** @throws RdvError `not-authorized` · `busy` when too many were signed within two minutes */
  async check(verb: string, request: NodeRequest): Promise<void> {
    const refused = (why: string): RdvError => new RdvError('not-authorized', why);
    const { at, key, signature } = request;
    if (at === undefined || key === undefined || signature === undefined) {
      throw refused(`"${verb}" changes something: sign it with an operator's key (--identity)`);
    }
    const now = Math.floor(this.#clock.now() / 1000);
    if (Math.abs(now - at) > WINDOW_SECONDS) throw refused('the request is too old, or one of the two clocks is wrong');
    const identity = await Promise.resolve()
      .then(() => publicIdentity(fromHex(key)))
      .catch(() => undefined);
    const known = identity && this.#operators.some((operator) => toHex(operator) === toHex(identity.fingerprint));
    if (!identity || !known) throw refused('this node does not know that key as an operator of it');
    const holds = await verifySignature(identity, signedBytes(this.#node, verb, request), bytesOf(signature));
    if (!holds) throw refused('the signature does not hold');
    for (const [transaction, until] of this.#passed) if (until < now) this.#passed.delete(transaction);
    if (this.#passed.has(request.transaction)) throw refused('this request was carried out before');
    if (this.#passed.size >= REMEMBERED_MAX) throw new RdvError('busy', 'too many requests: try again in two minutes');
    this.#passed.set(request.transaction, now + 2 * WINDOW_SECONDS);
  }
}

function bytesOf(hex: string): Uint8Array {
  try {
    return fromHex(hex);
  } catch {
    return new Uint8Array(0);
  }
}
