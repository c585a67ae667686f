/** What goes in and out of `mqtt-link.ts`. Types only. */
import type { RdvError } from '@rdv/protocol/core/errors';
import type { Surroundings } from '@rdv/protocol/core/ports';
import type { MqttConnect, MqttConnectOptions } from './mqtt-client.js';
import type { BrokerNode } from './mqtt-target.js';

/** What the link tells its owner. */
export interface LinkEvents {
  onUp(): void;
  onDown(error: RdvError): void;
  onMessage(topic: string, payload: Uint8Array): void;
}

export interface LinkOptions extends Surroundings {
  readonly connect: MqttConnect;
  readonly target: Omit<MqttConnectOptions, 'version'>;
  /** Where else `target` is: nodes of one cluster, taken in turn. */
  readonly others?: readonly BrokerNode[];
  /** `auto`: MQTT 5, and 3.1.1 with brokers that do not speak it. */
  readonly version: 4 | 5 | 'auto';
  readonly events: LinkEvents;
}

/** A subscription that lasts until closed. */
export interface LinkSubscription {
  readonly filter: string;
  /** It goes out (again). */
  onAsked?(): void;
  /** The broker holds it (again). */
  onHeld(): void;
  /**
   * The broker has read everything up to the subscription. `inOrder`: a retained message that came before has no
   * others behind it, as is the way of brokers that speak MQTT 5. `again`: another round trip on the same connection;
   * rejects when that ends.
   */
  onMarker?(inOrder: boolean, again: () => Promise<void>): void;
  /** The broker will not have it: it is forgotten. */
  onRefused(error: RdvError): void;
}

export interface LinkPublish {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly retain: boolean;
  /** Waits while the link is down, and is sent again when unacknowledged. Otherwise it fails at once. */
  readonly keep: boolean;
  /** Seconds that the message is still good for; asked right before it goes. Zero or less: it is `expired`. */
  readonly expirySeconds: () => number;
  /** Not sent before this has resolved; nor is what was called later. */
  readonly after?: Promise<void>;
}
