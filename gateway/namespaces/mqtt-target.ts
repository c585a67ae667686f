/** A broker's address, as `parse-url.ts` reads it and `mqtt.ts` opens it. Types and naming only. */

/** Where a broker is and how to get in. `parse-url.ts` makes one of a URL. */
export interface MqttTarget {
  readonly protocol: 'mqtt' | 'mqtts' | 'ws' | 'wss';
  readonly host: string;
  readonly port: number;
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

/** `mqtt://broker.example:1883`: what people see. Holds neither user nor password. */
export function targetName(target: MqttTarget): string {
  const scheme = target.protocol.startsWith('ws') ? `mqtt+${target.protocol}` : target.protocol;
  const host = target.host.includes(':') ? `[${target.host}]` : target.host;
  const path = target.protocol.startsWith('ws') ? (target.path ?? '/mqtt') : '';
  return `${scheme}://${host}:${target.port}${path}`;
}
