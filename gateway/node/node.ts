/**
 * A node: one process, any mix of roles. It owns adapters, store and namespaces, and does what `api.ts` says. Opened
 * by the composition roots (`run-node.ts`, `local-node.ts`), which hand in the real clock and randomness.
 */
import { readFileSync } from 'node:fs';
import type { BeaconNamespace } from '@rdv/beacon/beacon-namespace';
import type { Conversation } from '@rdv/protocol/conversation/api';
import type { HistoryPage } from '@rdv/protocol/conversation/durability';
import { toHex } from '@rdv/protocol/core/bytes';
import { RdvError, toRdvError } from '@rdv/protocol/core/errors';
import type { Store, Surroundings } from '@rdv/protocol/core/ports';
import type { NodeKey } from '@rdv/protocol/link/peer';
import { respond } from '@rdv/protocol/rendezvous/respond';
import { TagSecret } from '@rdv/protocol/tag/derived';
import { realmOf } from '@rdv/protocol/tag/secret';
import { parseAnyTag } from '../identity/any-tag.js';
import { openSigner } from '../identity/open-signer.js';
import { openPolicy } from '../identity/trust-policy.js';
import { BleNamespace } from '../namespaces/ble.js';
import { AirProof } from '../radio/air-proof.js';
import { createDialer } from '../radio/dialer.js';
import type { Scanner } from '../radio/scanner.js';
import type { HttpService } from '../server/http-service.js';
import type {
  BeaconHeard,
  ConversationInfo,
  NodeApi,
  NodeStatus,
  OnNamespace,
  OpenPublication,
  PublicationInfo,
  PublicationTarget,
  PublishRequest,
  RespondRequest,
  ResumeRequest,
  ScanRequest,
} from './api.js';
import { type AdvertisingRole, startBeaconRole, startBoardRole } from './beacon-role.js';
import { boardPortOf } from './board-adapter.js';
import { type ClockGuard, clockError } from './clock-guard.js';
import { Conversations } from './conversations.js';
import { eidMatch } from './eid-match.js';
import { type GatewayRole, startGatewayRole } from './gateway-role.js';
import { healthOf } from './health.js';
import { bridgeSide, type JoinConfig, type JoinRole, startJoins } from './join-role.js';
import { KeptBoards } from './kept-boards.js';
import { blameNamespaces, noteNamespaces } from './namespace-notes.js';
import { NamespacePool } from './namespace-pool.js';
import { Publications } from './publications.js';
import { Radios } from './radios.js';
import { type ReportConfig, type ReportRole, startReportRole } from './report-role.js';
import { scanBeacons } from './scan-beacons.js';
import type { ServerConfig } from './server-config.js';

export interface NodeOptions {
  readonly ports: Surroundings;
  readonly store: Store;
  readonly clockGuard: ClockGuard;
  readonly nodeKey: NodeKey | undefined;
  /** Namespace URLs for requests that name none. */
  readonly namespaces: readonly string[];
  /** Adapter for whatever needs a radio and has no role of its own. */
  readonly adapter: string | undefined;
  /** How long brokers keep what comes while this node is away (SPEC §10), seconds. */
  readonly sessionSeconds?: number | undefined;
  readonly beacon: {
    readonly adapter: string | undefined;
    readonly intervalMs: number;
    readonly trustedKeys: readonly Uint8Array[];
    readonly slots: number;
    /** Another adapter that listens whether the beacon is on the air; default: the gateway's, if it is another. */
    readonly proofAdapter?: string | undefined;
  };
  readonly gateway: { readonly adapter: string; readonly namespace: string } | undefined;
}

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

export class Node implements NodeApi {
  readonly #options: NodeOptions;
  readonly #radios: Radios;
  readonly #pool: NamespacePool;
  readonly #publications: Publications;
  readonly #conversations: Conversations;
  readonly #startedAt: number;
  #beacon: AdvertisingRole | undefined;
  #beaconOpening: Promise<AdvertisingRole> | undefined;
  #served: BeaconNamespace | undefined;
  #ble: Promise<BleNamespace> | undefined;
  #gateway: GatewayRole | undefined;
  #proof: AirProof | undefined;
  #server: HttpService | undefined;
  #report: ReportRole | undefined;
  #joins: JoinRole | undefined;
  /** Beacon boards, kept in step whenever they are attached. */
  readonly boards: KeptBoards;

  constructor(options: NodeOptions) {
    const { ports, store, beacon } = options;
    this.#options = options;
    this.#startedAt = ports.clock.monotonic();
    this.boards = new KeptBoards(options);
    this.#radios = new Radios(ports, beacon.slots);
    const ble = {
      forPublisher: () => this.#servedOverAir(),
      forResponder: () => this.#bleNamespace(),
    };
    this.#pool = new NamespacePool(ports, store, ble, options.sessionSeconds);
    this.#conversations = new Conversations({
      ports,
      store,
      namespaces: (urls) => this.#pool.all(urls, 'respond'),
      publicationTitle: (handle) => this.#publications.list().find((known) => known.handle === handle)?.title,
    });
    this.#publications = new Publications({
      ports,
      store,
      namespaces: (urls) => this.#pool.all(urls, 'publish'),
      beacon: () => this.#beacon,
      defaults: options.namespaces,
    });
  }

  /** @param preferred may be a board, which only advertises: for everything else one is looked for that hears */
  #adapter(preferred: string | undefined): string {
    const { adapter, beacon, gateway } = this.#options;
    const hears = [adapter, beacon.adapter, gateway?.adapter].find((name) => name && boardPortOf(name) === undefined);
    const name = preferred ?? hears;
    if (name === undefined) {
      const what = adapter === undefined ? 'which radio?' : 'a board only advertises:';
      throw new RdvError('adapter', `${what} name one with --adapter: hci0, an address, serial:PATH or virtual:PATH`);
    }
    return name;
  }

  /** Starts the beacon role, once. @throws RdvError `adapter`, `clock` */
  startBeacon(): Promise<AdvertisingRole> {
    this.#beaconOpening ??= (async () => {
      const { ports, nodeKey, beacon } = this.#options;
      this.#assertClock();
      const adapter = this.#adapter(beacon.adapter);
      const { intervalMs, trustedKeys } = beacon;
      const port = boardPortOf(adapter);
      if (port !== undefined) this.#beacon = startBoardRole({ board: this.boards.at(port), ports, intervalMs });
      else {
        const radio = await this.#radios.get(adapter);
        const role = startBeaconRole({ radio, ports, intervalMs, trustedKeys, nodeKey });
        this.#served = role.namespace;
        this.#beacon = role;
      }
      const second = beacon.proofAdapter ?? this.#options.gateway?.adapter;
      if (second !== undefined && second !== adapter) await this.#prove(this.#beacon, second);
      return this.#beacon;
    })();
    this.#beaconOpening.catch(() => {
      this.#beaconOpening = undefined;
    });
    return this.#beaconOpening;
  }

  async #servedOverAir(): Promise<BeaconNamespace> {
    await this.startBeacon();
    if (this.#served) return this.#served;
    throw new RdvError('config', 'a board only advertises: to serve "ble:" name an adapter, as hci0');
  }

  /** The second radio listens for the first. Without it the beacon goes on, and its state says that nobody listens. */
  async #prove(role: AdvertisingRole, adapter: string): Promise<void> {
    const { clock, log } = this.#options.ports;
    try {
      const { scanner } = await this.#radios.get(adapter);
      const reassert = (): void => role.reassert();
      this.#proof = new AirProof({ scanner, sent: () => role.sent(), reassert, clock, log: log.scope('beacon') });
    } catch (error) {
      log.warn('no second radio listens to the beacon', { code: toRdvError(error).code });
    }
  }

  /** Starts the server role. @param directory of its database @throws RdvError `config`, `store`, `busy` */
  async startServer(config: ServerConfig, directory: string): Promise<HttpService> {
    // Loaded only where it is asked for: the HTTP server is no small thing on a small machine.
    const { startServerRole } = await import('./server-role.js');
    this.#server = await startServerRole(config, this.#options.ports, directory);
    return this.#server;
  }

  /** Starts the gateway role of the options. @throws RdvError `adapter` */
  async startGateway(): Promise<void> {
    const { ports, nodeKey, gateway } = this.#options;
    if (!gateway || !nodeKey) throw new RdvError('config', 'a gateway needs an adapter, a namespace and a node key');
    const radio = await this.#radios.get(gateway.adapter);
    const { namespace: far } = await bridgeSide(gateway.namespace, this.#pool, this.#server);
    this.#gateway = startGatewayRole({ radio, far, nodeKey, ports });
  }

  /** Joins namespaces pair by pair. @throws RdvError `config` */
  async startJoins(joins: readonly JoinConfig[]): Promise<void> {
    this.#joins = await startJoins(joins, (url) => bridgeSide(url, this.#pool, this.#server), this.#options.ports);
  }

  /**
   * Starts to say on a broker how this node is, and, where it is a gateway, which beacons it hears.
   * @throws RdvError `config`
   */
  async startReport(config: ReportConfig): Promise<void> {
    const { ports, store, gateway } = this.#options;
    const scanner = gateway && this.#gateway && (await this.#radios.get(gateway.adapter)).scanner;
    this.#report = await startReportRole(
      this,
      config,
      { ...ports, store },
      scanner && ((listener) => scanner.listen(listener)),
    );
  }

  async #bleNamespace(): Promise<BleNamespace> {
    this.#ble ??= (async () => {
      const { ports } = this.#options;
      const radio = await this.#radios.get(this.#adapter(undefined));
      return new BleNamespace({
        ...ports,
        log: ports.log.scope('ble'),
        dialer: createDialer(radio.scanner, radio.central),
        matchEid: (beaconKey) => eidMatch(ports.clock, beaconKey),
      });
    })();
    this.#ble.catch(() => {
      this.#ble = undefined;
    });
    return this.#ble;
  }

  #assertClock(): void {
    const { doubt } = this.#options.clockGuard;
    if (doubt) throw clockError(doubt);
  }

  async publish(request: PublishRequest, signal?: AbortSignal, onNamespace?: OnNamespace): Promise<OpenPublication> {
    this.#assertClock();
    if (boardPortOf(this.#options.beacon.adapter) !== undefined) await this.startBeacon();
    return this.#publications.open(request, signal, onNamespace);
  }

  async respond(request: RespondRequest, signal?: AbortSignal, onNamespace?: OnNamespace): Promise<Conversation> {
    const tag = await parseAnyTag(request.tag);
    const urls = request.namespaces ?? this.#options.namespaces;
    const { log } = this.#options.ports;
    const signer = request.identity && (await openSigner(request.identity, (what) => log.warn(what)));
    const trust = request.trust && (await openPolicy(request.trust));
    const [secret, namespaces] = await Promise.all([
      TagSecret.fromTag(tag, realmOf(request.realm)),
      this.#pool.all(urls, 'respond'),
    ]);
    const notes = onNamespace && noteNamespaces(namespaces, onNamespace);
    const { durable } = request;
    const begun = durable && (await this.#conversations.begin(durable, urls));
    let conversation: Conversation | undefined;
    try {
      conversation = await respond(
        secret,
        {
          ...begun,
          timeoutMs: request.timeoutMs,
          noWait: request.noWait,
          anonymousFirst: request.anonymousFirst === true,
          ...(signer && { signer }),
          ...(trust && { trust }),
          ...(request.hello ? { hello: request.hello } : {}),
          ...(signal ? { signal } : {}),
        },
        { ...this.#options.ports, namespaces },
      );
      return conversation;
    } catch (error) {
      throw blameNamespaces(toRdvError(error), namespaces);
    } finally {
      if (durable) await this.#conversations.began(durable.handle, conversation);
      notes?.close();
      secret.wipe();
    }
  }

  async list(): Promise<readonly PublicationInfo[]> {
    return this.#publications.list();
  }

  async conversations(): Promise<readonly ConversationInfo[]> {
    return this.#conversations.list();
  }

  async resume(request: ResumeRequest): Promise<Conversation> {
    return this.#conversations.resume(request);
  }

  async history(handle: string, page: { readonly after?: number; readonly limit?: number }): Promise<HistoryPage> {
    return this.#conversations.history(handle, page);
  }

  async forget(handle: string): Promise<void> {
    return this.#conversations.forget(handle);
  }

  async unpublish(target: PublicationTarget): Promise<void> {
    this.#assertClock();
    return this.#publications.unpublish(target);
  }

  async deactivate(target: PublicationTarget): Promise<void> {
    this.#assertClock();
    return this.#publications.deactivate(target);
  }

  async activate(target: PublicationTarget): Promise<void> {
    this.#assertClock();
    return this.#publications.activate(target);
  }

  async renew(target: PublicationTarget, ttlSeconds: number | undefined): Promise<void> {
    this.#assertClock();
    return this.#publications.renew(target, ttlSeconds);
  }

  async scan(request: ScanRequest, onHeard: (heard: BeaconHeard) => void, signal: AbortSignal): Promise<void> {
    const open = async (): Promise<Scanner> => (await this.#radios.get(this.#adapter(undefined))).scanner;
    return scanBeacons(this.#options.ports.clock, open, request, onHeard, signal);
  }

  async status(): Promise<NodeStatus> {
    const joins = this.#joins?.status ?? [];
    const roles = [
      ...(this.#beacon ? ['beacon'] : []),
      ...(this.#gateway ? ['gateway'] : []),
      ...(joins.length > 0 ? ['join'] : []),
      ...(this.#server ? ['server'] : []),
    ];
    const namespaces = await this.#pool.states();
    const adapters = await this.#radios.parts();
    const onAir = this.#proof?.status;
    const boards = this.boards.parts;
    const { doubt: clockDoubt } = this.#options.clockGuard;
    return {
      version,
      uptimeMs: Math.round(this.#options.ports.clock.monotonic() - this.#startedAt),
      roles,
      namespaces,
      adapters,
      health: healthOf({ clockDoubt, adapters, namespaces, onAir, boards }),
      reportsAs: this.#report?.node,
      nodeKey: this.#options.nodeKey && toHex(this.#options.nodeKey.publicKey),
      bridge: this.#gateway && { ...this.#gateway.status },
      joins,
      onAir,
      boards,
      server: this.#server && { url: this.#server.url, streams: this.#server.streams },
    };
  }

  /** In the order in which nothing is left hanging: who asks, what carries, what radiates, what is stored. */
  async close(): Promise<void> {
    this.#options.clockGuard.close();
    await this.#report?.close();
    this.#proof?.close();
    await this.#gateway?.close();
    this.#joins?.close();
    await this.#publications.close();
    await this.#ble?.then((namespace) => namespace.close()).catch(() => {});
    await this.#beacon?.close();
    await this.boards.close();
    await this.#pool.close();
    await this.#server?.close();
    await this.#radios.close();
    await this.#options.store.close();
  }
}
