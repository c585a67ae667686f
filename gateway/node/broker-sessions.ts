/**
 * The sessions that brokers keep for this node while it is away (SPEC §10), by broker: which client identifier, and for how
 * long. Begun where somebody asks for it, gone on with as long as the broker keeps it.
 */

import { toHex } from '@rdv/protocol/core/bytes';
import { type CborValue, decodeCbor, encodeCbor } from '@rdv/protocol/core/cbor';
import { EPOCH_SECONDS } from '@rdv/protocol/core/constants';
import type { Clock, Random, Store } from '@rdv/protocol/core/ports';
import type { MqttPersistentSession } from '../namespaces/mqtt.js';

const KEY = 'node/sessions';
const SESSIONS_MAX = 64;
const CLIENT_ID_BYTES = 11;

interface Session {
  readonly broker: string;
  readonly clientId: string;
  readonly seconds: number;
  /** Unix seconds of the last start. */
  readonly at: number;
}

/** Seconds that a session has to be kept for one that publishes `ahead` days ahead; undefined where that is none. */
export function sessionFor(ahead: number): number | undefined {
  return ahead > 0 ? (ahead + 2) * EPOCH_SECONDS : undefined;
}

export interface BrokerSessionsInit {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
}

export class BrokerSessions {
  readonly #init: BrokerSessionsInit;

  constructor(init: BrokerSessionsInit) {
    this.#init = init;
  }

  /**
   * @param broker its URL without secrets
   * @param seconds how long it is to be kept, where one is asked for
   * @returns undefined where none is, and none was
   */
  async take(broker: string, seconds: number | undefined): Promise<MqttPersistentSession | undefined> {
    const { store, clock, random } = this.#init;
    const now = Math.floor(clock.now() / 1000);
    const live = this.#all().filter((session) => session.at + session.seconds > now);
    const known = live.find((session) => session.broker === broker);
    if (!known && seconds === undefined) return undefined;
    const session: Session = {
      broker,
      clientId: known?.clientId ?? toHex(random(CLIENT_ID_BYTES)),
      seconds: Math.max(known?.seconds ?? 0, seconds ?? 0),
      at: now,
    };
    const others = live.filter((other) => other !== known).slice(-SESSIONS_MAX + 1);
    const rows: CborValue = [...others, session].map((each) => [each.broker, each.clientId, each.seconds, each.at]);
    await store.commit([{ key: KEY, value: encodeCbor([1, rows]) }]);
    return { clientId: session.clientId, expirySeconds: session.seconds };
  }

  #all(): Session[] {
    const bytes = this.#init.store.get(KEY);
    const value = bytes && decodeCbor(bytes);
    if (!Array.isArray(value) || value[0] !== 1 || !Array.isArray(value[1])) return [];
    return (value[1] as readonly CborValue[]).flatMap((row) => {
      if (!Array.isArray(row)) return [];
      const [broker, clientId, seconds, at] = row as readonly CborValue[];
      return [{ broker: String(broker), clientId: String(clientId), seconds: Number(seconds), at: Number(at) }];
    });
  }
}
