/**
 * One connection to an MQTT broker, over mqtt.js: the only file that imports it. Says what came and what went
 * wrong; reconnecting, remembering and ordering are `mqtt-link.ts`'s, topics and records `mqtt.ts`'s.
 *
 * Two things differ from the library's own ways. SUBSCRIBE is written by us, straight behind CONNECT, so that a cold
 * look-up takes one round trip instead of two (SPEC §10). And Nagle's algorithm is off: with it on, each QoS 1 round
 * trip waits for a delayed acknowledgement, 40 ms and more.
 */

import { CanceledError, type RdvError } from '@rdv/protocol/core/errors';
import type { Clock } from '@rdv/protocol/core/ports';
import type { IClientOptions, MqttClient } from 'mqtt';
import { connectionFailure, connectRefusal, isVersionRefusal, requestRefusal } from './mqtt-errors.js';
import { DISCONNECT, encodeSubscribe, PINGREQ } from './mqtt-packets.js';
import { PacketTrimmer } from './mqtt-trimmer.js';

export interface MqttConnectOptions {
  /** For messages; holds no password. */
  readonly name: string;
  readonly protocol: 'mqtt' | 'mqtts' | 'ws' | 'wss';
  readonly host: string;
  readonly port: number;
  /** WebSocket only. */
  readonly path?: string;
  /** 4 is MQTT 3.1.1. */
  readonly version: 4 | 5;
  readonly clientId: string;
  /** Seconds that the broker keeps the session after a disconnect; 0 is a clean session. */
  readonly sessionSeconds: number;
  readonly username?: string;
  readonly password?: string;
  /** PEM. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  /** What the broker publishes, retained, when this end is gone without a word. */
  readonly will?: { readonly topic: string; readonly payload: Uint8Array };
  readonly keepaliveSeconds: number;
  readonly connectTimeoutMs: number;
  /** Longest packet taken from the broker whole, in bytes (`mqtt-trimmer.ts`). */
  readonly maxPacketBytes: number;
}

/** What CONNACK said. */
export interface MqttSession {
  /** Unacknowledged QoS 1 messages that the broker takes at once. */
  readonly receiveMaximum: number;
  /** Longest packet that the broker takes, in bytes. */
  readonly maxPacketBytes: number;
  readonly retainAvailable: boolean;
}

export interface MqttEvents {
  onUp(session: MqttSession): void;
  /**
   * Once, at the end, with or without `onUp` before, unless `close` was called. `answer` tells of an end before
   * `onUp`: the broker speaks another MQTT (`wrong-version`), or hung up on CONNECT without a word (`cut`).
   */
  onDown(error: RdvError, answer: 'wrong-version' | 'cut' | undefined): void;
  onMessage(topic: string, payload: Uint8Array): void;
}

export interface MqttPublishOptions {
  readonly retain: boolean;
  /** Seconds until the broker drops it; sent on MQTT 5 only. */
  readonly expirySeconds: number;
}

export interface MqttConnection {
  /** At QoS 1. Written at once, before CONNACK too. Resolves with the broker's code for each filter. */
  subscribe(filters: readonly string[]): Promise<readonly number[]>;
  unsubscribe(filter: string): void;
  /** QoS 1. Only after `onUp`. @throws RdvError as the broker's reason says */
  publish(topic: string, payload: Uint8Array, options: MqttPublishOptions): Promise<void>;
  /** Resolves when the broker has read everything written so far. Written at once, before CONNACK too. */
  roundTrip(): Promise<void>;
  /** Rejects what is pending with `CanceledError`, says goodbye and ends the connection. */
  close(): Promise<void>;
}

export type MqttConnect = (options: MqttConnectOptions, events: MqttEvents) => MqttConnection;

interface Pending<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

const CLOSE_PATIENCE_MS = 500;
/** A WebSocket message is collected whole before the trimmer sees it. */
const WEBSOCKET_MAX_BYTES: number = 4 * 1024 * 1024;
const DISCONNECT_REASONS: Readonly<Record<number, string>> = {
  139: 'the broker is shutting down',
  142: 'another client took the session over',
  147: 'too many unacknowledged messages for this broker',
  149: 'a packet was too large for this broker',
};

function vendorOptions(options: MqttConnectOptions): IClientOptions {
  return {
    protocol: options.protocol,
    host: options.host,
    port: options.port,
    ...(options.path === undefined ? {} : { path: options.path }),
    protocolVersion: options.version,
    clientId: options.clientId,
    clean: options.sessionSeconds === 0,
    ...(options.username === undefined ? {} : { username: options.username }),
    ...(options.password === undefined ? {} : { password: options.password }),
    ...(options.ca === undefined ? {} : { ca: options.ca }),
    ...(options.cert === undefined ? {} : { cert: options.cert }),
    ...(options.key === undefined ? {} : { key: options.key }),
    ...(options.will === undefined
      ? {}
      : { will: { topic: options.will.topic, payload: Buffer.from(options.will.payload), qos: 1, retain: true } }),
    keepalive: options.keepaliveSeconds,
    connectTimeout: options.connectTimeoutMs,
    // One client is one connection: what survives it is kept by the link, not by the library.
    reconnectPeriod: 0,
    ...(options.protocol.startsWith('ws') ? { wsOptions: { maxPayload: WEBSOCKET_MAX_BYTES } } : {}),
    resubscribe: false,
    ...(options.version === 5
      ? { properties: { maximumPacketSize: options.maxPacketBytes, sessionExpiryInterval: options.sessionSeconds } }
      : {}),
  };
}

class Connection implements MqttConnection {
  readonly #options: MqttConnectOptions;
  readonly #events: MqttEvents;
  readonly #client: MqttClient;
  readonly #clock: Clock;
  readonly #subscribes = new Map<number, Pending<readonly number[]>>();
  readonly #publishes = new Set<Pending<void>>();
  #pings: (Pending<void> | undefined)[] = [];
  #failure: unknown;
  #refusal: number | undefined;
  #goodbye: string | undefined;
  #reached = false;
  #closing = false;
  #ended = false;
  readonly #whenEnded: Promise<void>;
  #signalEnd: () => void = () => {};

  constructor(
    connect: (options: IClientOptions) => MqttClient,
    clock: Clock,
    options: MqttConnectOptions,
    events: MqttEvents,
  ) {
    this.#clock = clock;
    this.#options = options;
    this.#events = events;
    this.#whenEnded = new Promise((resolve) => {
      this.#signalEnd = resolve;
    });
    this.#client = connect(vendorOptions(options));
    this.#attach();
  }

  #attach(): void {
    const client = this.#client;
    const socket = client.stream as typeof client.stream & { setNoDelay?: (on: boolean) => void };
    // Over WebSocket, `ws` does this itself.
    socket.setNoDelay?.(true);
    this.#bound(socket);
    socket.once('connect', () => {
      this.#reached = true;
    });
    socket.on('error', (error: unknown) => {
      this.#failure ??= error;
    });
    client.on('packetsend', (packet) => {
      // The library's own keep-alive: its answer must not be taken for one of ours.
      if (packet.cmd === 'pingreq') this.#pings.push(undefined);
    });
    client.on('packetreceive', (packet) => {
      if (packet.cmd === 'suback') this.#onSuback(packet.messageId ?? 0, packet.granted as readonly number[]);
      else if (packet.cmd === 'pingresp') this.#pings.shift()?.resolve();
      else if (packet.cmd === 'connack') this.#refusal = packet.reasonCode ?? packet.returnCode ?? 0;
      else if (packet.cmd === 'disconnect') this.#goodbye = DISCONNECT_REASONS[packet.reasonCode ?? 0];
    });
    client.on('connect', (packet) => {
      const properties = packet.properties;
      this.#events.onUp({
        receiveMaximum: properties?.receiveMaximum ?? 0xffff,
        maxPacketBytes: properties?.maximumPacketSize ?? Number.POSITIVE_INFINITY,
        retainAvailable: properties?.retainAvailable !== false,
      });
    });
    client.on('message', (topic, payload) => this.#events.onMessage(topic, new Uint8Array(payload)));
    client.on('error', (error) => {
      this.#failure ??= error;
      client.stream.destroy();
    });
    client.on('close', () => this.#end());
  }

  /** Puts the trimmer between the socket and the library: see `mqtt-trimmer.ts`. */
  #bound(socket: MqttClient['stream']): void {
    const trimmer = new PacketTrimmer(this.#options.maxPacketBytes);
    const push = socket.push.bind(socket);
    socket.push = (chunk: unknown, encoding?: BufferEncoding): boolean => {
      if (!(chunk instanceof Uint8Array)) return push(chunk, encoding);
      const rest = trimmer.push(chunk);
      if (rest) return push(rest, encoding);
      this.#failure = new Error('packet too large');
      socket.destroy();
      return false;
    };
  }

  #onSuback(messageId: number, granted: readonly number[]): void {
    const pending = this.#subscribes.get(messageId);
    if (!pending) return;
    this.#subscribes.delete(messageId);
    this.#client.messageIdProvider.deallocate(messageId);
    pending.resolve(granted);
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    const error = this.#closing ? new CanceledError('the namespace is closed') : this.#reason();
    this.#rejectAll(error);
    this.#signalEnd();
    if (this.#closing) return;
    const cut = this.#reached && this.#refusal === undefined;
    this.#events.onDown(error, isVersionRefusal(this.#refusal) ? 'wrong-version' : cut ? 'cut' : undefined);
  }

  #rejectAll(error: RdvError): void {
    for (const pending of [...this.#subscribes.values(), ...this.#publishes, ...this.#pings]) pending?.reject(error);
    this.#subscribes.clear();
    this.#publishes.clear();
    this.#pings = [];
  }

  #reason(): RdvError {
    const { name, host } = this.#options;
    if (this.#refusal !== undefined && this.#refusal > 0) return connectRefusal(name, this.#refusal);
    if (this.#goodbye !== undefined) return connectionFailure(name, host, { message: this.#goodbye });
    return connectionFailure(name, host, this.#failure);
  }

  subscribe(filters: readonly string[]): Promise<readonly number[]> {
    return new Promise((resolve, reject) => {
      const messageId = this.#ended ? null : this.#client.messageIdProvider.allocate();
      if (messageId === null) return reject(this.#reason());
      this.#subscribes.set(messageId, { resolve, reject });
      const { version, sessionSeconds } = this.#options;
      const qos = sessionSeconds === 0 ? 0 : 1;
      this.#client.stream.write(encodeSubscribe(version, messageId, filters, qos));
    });
  }

  unsubscribe(filter: string): void {
    if (!this.#ended) this.#client.unsubscribe(filter);
  }

  publish(topic: string, payload: Uint8Array, options: MqttPublishOptions): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#ended) return reject(this.#reason());
      const pending: Pending<void> = { resolve, reject };
      this.#publishes.add(pending);
      const properties = this.#options.version === 5 && options.expirySeconds > 0;
      this.#client.publish(
        topic,
        Buffer.from(payload),
        {
          qos: 1,
          retain: options.retain,
          ...(properties ? { properties: { messageExpiryInterval: options.expirySeconds } } : {}),
        },
        (error) => {
          // At the end of a connection everybody is told the same reason, by #end.
          if (!this.#publishes.has(pending) || this.#client.stream.destroyed) return;
          this.#publishes.delete(pending);
          if (!error) return resolve();
          const reason = 'code' in error && typeof error.code === 'number' ? error.code : 128;
          reject(requestRefusal(this.#options.name, reason));
        },
      );
    });
  }

  roundTrip(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#ended) return reject(this.#reason());
      this.#pings.push({ resolve, reject });
      this.#client.stream.write(PINGREQ);
    });
  }

  async close(): Promise<void> {
    this.#closing = true;
    if (this.#ended) return;
    this.#rejectAll(new CanceledError('the namespace is closed'));
    const { stream } = this.#client;
    // Not the library's own way out, which waits for every acknowledgement first.
    if (this.#client.connected) stream.end(DISCONNECT);
    else stream.destroy();
    const patience = this.#clock.schedule(CLOSE_PATIENCE_MS, () => stream.destroy());
    await this.#whenEnded;
    patience.cancel();
  }
}

/** Loads the library, which takes a moment, and hands back how to connect. */
export async function loadMqtt(clock: Clock): Promise<MqttConnect> {
  const { connect } = await import('mqtt');
  return (options, events) => new Connection(connect, clock, options, events);
}
