/**
 * The namespaces of a node by URL, opened once and shared. Sharing one connection links, for its broker, what this
 * node does over it (SPEC §0): whoever minds runs a node apiece.
 */
import { InvalidArgumentError } from '@rdv/protocol/core/errors';
import type { Store, Surroundings } from '@rdv/protocol/core/ports';
import type { Namespace } from '@rdv/protocol/namespace/port';
import type { JoinSide } from '../bridge/join.js';
import { openHttpNamespace } from '../namespaces/http.js';
import type { HttpTarget } from '../namespaces/http-target.js';
import { openMqttNamespace } from '../namespaces/mqtt.js';
import type { MqttTarget } from '../namespaces/mqtt-target.js';
import { type NamespaceSpec, parseNamespaceUrl, withoutSecrets } from '../namespaces/parse-url.js';
import type { UdpNamespace } from '../namespaces/udp.js';
import { openUdpNamespace } from '../namespaces/udp-open.js';
import { openWsNamespace } from '../namespaces/ws.js';
import { BrokerSessions } from './broker-sessions.js';

/** How a node reaches `ble:`: as the beacon itself, or as somebody who comes to one. */
export interface BleNamespaces {
  /** @throws RdvError `config` when the node has no beacon role and no adapter to take it */
  forPublisher(): Promise<Namespace>;
  forResponder(): Promise<Namespace>;
}

export class NamespacePool {
  readonly #open = new Map<string, Promise<Namespace>>();
  readonly #bridgeEnds = new Map<string, Promise<UdpNamespace>>();
  readonly #ports: Surroundings;
  readonly #store: Store;
  readonly #ble: BleNamespaces;
  readonly #sessions: BrokerSessions;
  readonly #sessionSeconds: number | undefined;

  /** @param sessionSeconds how long brokers keep what comes while this node is away; undefined: not at all, unless they do already */
  constructor(ports: Surroundings, store: Store, ble: BleNamespaces, sessionSeconds: number | undefined) {
    this.#ports = ports;
    this.#store = store;
    this.#ble = ble;
    this.#sessions = new BrokerSessions({ ...ports, store });
    this.#sessionSeconds = sessionSeconds;
  }

  /** @throws InvalidArgumentError for a URL nobody understands */
  async get(url: string, use: 'publish' | 'respond' | 'bridge'): Promise<Namespace> {
    const spec = parseNamespaceUrl(url);
    if (spec.kind === 'ble') return use === 'respond' ? this.#ble.forResponder() : this.#ble.forPublisher();
    const known = this.#open.get(url);
    if (known) return known;
    const opening = this.#opening(url, spec, use !== 'bridge');
    this.#open.set(url, opening);
    opening.catch(() => this.#open.delete(url));
    return opening;
  }

  /**
   * An end that a bridge uses, with what can be seen there of what others ask. On UDP it is one apart from this node's
   * own, which a bridge has to hear as it hears everybody.
   * @throws InvalidArgumentError for `ble:`, which gateways visit, and for a URL nobody understands
   */
  async forBridge(url: string): Promise<JoinSide> {
    const spec = parseNamespaceUrl(url);
    if (spec.kind === 'ble') throw new InvalidArgumentError('ble: is joined with others by roles.gateway');
    if (spec.kind !== 'udp') return { namespace: await this.get(url, 'bridge') };
    const opening =
      this.#bridgeEnds.get(url) ??
      openUdpNamespace({ ...this.#ports, log: this.#ports.log.scope('udp'), target: spec.target, gateway: true });
    this.#bridgeEnds.set(url, opening);
    opening.catch(() => this.#bridgeEnds.delete(url));
    const namespace = await opening;
    return { namespace, interest: namespace };
  }

  #opening(url: string, spec: Exclude<NamespaceSpec, { kind: 'ble' }>, mayKeep: boolean): Promise<Namespace> {
    if (spec.kind === 'mqtt') return this.#openMqtt(url, spec.target, mayKeep);
    if (spec.kind === 'http') return this.#openHttp(spec.target, mayKeep);
    return openUdpNamespace({ ...this.#ports, log: this.#ports.log.scope('udp'), target: spec.target });
  }

  async #openMqtt(url: string, target: MqttTarget, mayKeep: boolean): Promise<Namespace> {
    const session = mayKeep ? await this.#sessions.take(withoutSecrets(url), this.#sessionSeconds) : undefined;
    const log = this.#ports.log.scope('mqtt');
    return openMqttNamespace({ ...this.#ports, log, target, store: this.#store, ...(session && { session }) });
  }

  async #openHttp(target: HttpTarget, fromKept: boolean): Promise<Namespace> {
    // What came while this node was away is taken, too: the protocol knows what it has had.
    const options = { ...this.#ports, log: this.#ports.log.scope('http'), target, fromKept };
    return target.protocol.startsWith('ws') ? openWsNamespace(options) : openHttpNamespace(options);
  }

  async all(urls: readonly string[], use: 'publish' | 'respond'): Promise<Namespace[]> {
    if (urls.length === 0) throw new InvalidArgumentError('say where to meet: --namespace mqtt://BROKER, udp: or ble:');
    return Promise.all([...new Set(urls)].map((url) => this.get(url, use)));
  }

  async states(): Promise<{ name: string; state: string }[]> {
    return Promise.all(
      [...this.#open, ...this.#bridgeEnds].map(async ([url, opening]) => ({
        name: withoutSecrets(url),
        state: await opening.then(
          (namespace) => namespace.state,
          () => 'down',
        ),
      })),
    );
  }

  async close(): Promise<void> {
    const all: Promise<Namespace>[] = [...this.#open.values(), ...this.#bridgeEnds.values()];
    await Promise.allSettled(all.map(async (opening) => (await opening).close()));
    this.#open.clear();
  }
}
