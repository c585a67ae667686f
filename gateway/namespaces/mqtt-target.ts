/** A broker's address, as `parse-url.ts` reads it, and what every connection to one has in common. Opens nothing. */
import { toHex } from '@rdv/protocol/core/bytes';
import type { Random } from '@rdv/protocol/core/ports';
import type { MqttConnectOptions } from './mqtt-client.js';

const CLIENT_ID_BYTES = 10;
const KEEPALIVE_SECONDS = 30;
const CONNECT_TIMEOUT_MS = 10_000;

export interface BrokerNode {
  readonly host: string;
  readonly port: number;
}

/** Where a broker is and how to get in. `parse-url.ts` makes one of a URL. */
export interface MqttTarget {
  readonly protocol: 'mqtt' | 'mqtts' | 'ws' | 'wss';
  readonly host: string;
  readonly port: number;
  /** Further nodes of the same cluster: taken in turn when one cannot be reached, or goes away. */
  readonly others?: readonly BrokerNode[];
  /** WebSocket only; default `/mqtt`. */
  readonly path?: string;
  /** Topic prefix; default `rdv`. */
  readonly base?: string;
  /** `auto` (default) is MQTT 5, and 3.1.1 with brokers that do not speak it. 4 is MQTT 3.1.1. */
  readonly version?: 4 | 5 | 'auto';
  readonly username?: string;
  readonly password?: string;
  /** PEM: who signed the broker's certificate, if not a public authority. */
  readonly ca?: string;
  /** PEM: this client's certificate and key. */
  readonly cert?: string;
  readonly key?: string;
}

/** `mqtt://broker.example:1883`, of a cluster `mqtt://a.example:1883,b.example:1883`: what people see. Holds neither user nor password. */
export function targetName(target: MqttTarget): string {
  const scheme = target.protocol.startsWith('ws') ? `mqtt+${target.protocol}` : target.protocol;
  const hosts = nodesOf(target).map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`);
  const path = target.protocol.startsWith('ws') ? (target.path ?? '/mqtt') : '';
  return `${scheme}://${hosts.join(',')}${path}`;
}

/** Every node of the broker, in the order in which to try them. */
export function nodesOf({ host, port, others = [] }: MqttTarget): readonly BrokerNode[] {
  return [{ host, port }, ...others];
}

/** What CONNECT to `target` says, under a random client identifier and in a clean session unless `more` says otherwise. */
export function connectionTo(
  target: MqttTarget,
  random: Random,
  more: Pick<MqttConnectOptions, 'maxPacketBytes'> &
    Partial<Pick<MqttConnectOptions, 'clientId' | 'sessionSeconds' | 'will'>>,
): Omit<MqttConnectOptions, 'version'> {
  return {
    ...target,
    name: targetName(target),
    clientId: toHex(random(CLIENT_ID_BYTES)),
    sessionSeconds: 0,
    keepaliveSeconds: KEEPALIVE_SECONDS,
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    ...more,
  };
}
