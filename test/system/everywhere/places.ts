/**
 * Every place where a tag can be met, in one world: a mosquitto, a namespace service, a link of datagrams, and an air with a
 * kiosk; and what bridges any two of them. Everything is real but the radio waves.
 */
import { Join, type JoinSide } from '@rdv/gateway/bridge/join';
import { openMqttNamespace } from '@rdv/gateway/namespaces/mqtt';
import { UdpNamespace } from '@rdv/gateway/namespaces/udp';
import { UdpSockets } from '@rdv/gateway/namespaces/udp-socket';
import type { HttpService } from '@rdv/gateway/server/http-service';
import { MemoryStore } from '@rdv/protocol/core/memory-store';
import type { Namespace } from '@rdv/protocol/namespace/port';
import { type Publication, type PublishOptions, publish } from '@rdv/protocol/rendezvous/publish';
import type { TagSecret } from '@rdv/protocol/tag/derived';
import { type Kiosk, Stage } from '../../scenarios/stage.js';
import { CuttablePort } from '../../support/cuttable-port.js';
import { openService, openUpHttp, openUpWs } from '../../support/http-rig.js';
import { freePort } from '../../support/server-process.js';
import { Mosquitto } from '../mosquitto/broker.js';

export type Place = 'mqtt' | 'http' | 'ws' | 'udp' | 'ble';

/** Where somebody publishes, and where somebody else looks for it. */
export type Row = readonly [publisher: Place, responder: Place];

/** A beacon serves its own publisher: there the publisher is always at `ble`. */
export const rows: readonly Row[] = [
  ['mqtt', 'mqtt'],
  ['http', 'http'],
  ['ws', 'ws'],
  ['http', 'ws'],
  ['udp', 'udp'],
  ['ble', 'ble'],
  ['ble', 'mqtt'],
  ['ble', 'http'],
  ['ble', 'udp'],
  ['mqtt', 'udp'],
  ['udp', 'mqtt'],
  ['http', 'udp'],
  ['udp', 'http'],
  ['mqtt', 'http'],
  ['http', 'mqtt'],
];

const sameNamespace = (one: Place, two: Place): boolean => place(one) === place(two);
const place = (name: Place): Place => (name === 'ws' ? 'http' : name);

export class World {
  readonly stage: Stage = Stage.real();
  readonly broker: Mosquitto;
  readonly service: HttpService;
  readonly udpPort: number;
  #kiosk: Promise<Kiosk> | undefined;
  readonly #undo: (() => unknown)[] = [];

  private constructor(broker: Mosquitto, service: HttpService, udpPort: number) {
    this.broker = broker;
    this.service = service;
    this.udpPort = udpPort;
  }

  static async open(): Promise<World> {
    const [broker, service, udpPort] = await Promise.all([Mosquitto.open(), openService(), freePort()]);
    return new World(broker, service, udpPort);
  }

  /** At the end of a test, last one first. */
  undo(work: () => unknown): void {
    this.#undo.push(work);
  }

  async clear(): Promise<void> {
    for (const work of this.#undo.splice(0).reverse()) await work();
  }

  async close(): Promise<void> {
    await this.clear();
    await this.stage.close();
    await this.service.close();
    await this.broker.close();
  }

  get kiosk(): Promise<Kiosk> {
    this.#kiosk ??= this.stage.kiosk();
    return this.#kiosk;
  }

  /** Another end there; `via` another TCP port that leads to it. */
  async end(at: Place, via?: number): Promise<Namespace> {
    const made = await this.#end(at, via);
    if (at !== 'ble') this.undo(() => made.close());
    return made;
  }

  async #end(at: Place, via: number | undefined): Promise<Namespace> {
    switch (at) {
      case 'mqtt': {
        const target = { protocol: 'mqtt', host: '127.0.0.1', port: via ?? this.broker.ports.plain } as const;
        const namespace = await openMqttNamespace({ ...this.stage.around, target });
        await namespace.firstAttempt;
        return namespace;
      }
      case 'http':
        return openUpHttp(via ?? this.service.port);
      case 'ws':
        return openUpWs(via ?? this.service.port);
      case 'udp':
        return (await this.udp()).namespace;
      case 'ble':
        return (await this.stage.visitor({ lingerMs: 200 })).ble;
    }
  }

  async udp(gateway = false): Promise<{ readonly namespace: UdpNamespace; readonly port: CuttablePort }> {
    const target = { port: this.udpPort, broadcast: true, group: undefined, interfaces: ['lo'] };
    const port = new CuttablePort(await UdpSockets.open(target, this.stage.around));
    return { port, namespace: new UdpNamespace({ ...this.stage.around, port, gateway }) };
  }

  async publishAt(at: Place, tag: TagSecret, options: PublishOptions): Promise<Publication> {
    // Who wants to be met across a bridge says so.
    const open: PublishOptions = { bridge: 'any', ...options };
    if (at === 'ble') return (await this.kiosk).publish(tag, open);
    const namespaces = [await this.end(at)];
    const publication = await publish(tag, open, { ...this.stage.around, store: new MemoryStore(), namespaces });
    this.undo(() => publication.close());
    return publication;
  }

  /** Bridges from where somebody publishes to where somebody looks, `count` of them; nothing where that is one namespace. */
  async bridge([from, to]: Row, count: number): Promise<readonly { readonly carried: number }[]> {
    if (sameNamespace(from, to)) return [];
    return Promise.all(Array.from({ length: count }, () => this.#bridge(from, to)));
  }

  async #bridge(from: Place, to: Place): Promise<{ readonly carried: number }> {
    if (from === 'ble') {
      const gateway = await this.stage.gateway((await this.#side(to)).namespace);
      this.undo(() => gateway.close());
      return {
        get carried() {
          return gateway.status.toFar + gateway.status.toNear;
        },
      };
    }
    const { clock, log } = this.stage.around;
    const join = new Join({ between: [await this.#side(from), await this.#side(to)], clock, log });
    this.undo(() => join.close());
    return {
      get carried() {
        return join.status.forth.frames + join.status.back.frames;
      },
    };
  }

  /** A bridge's end, with what can be seen there. */
  async #side(at: Place): Promise<JoinSide> {
    if (at === 'udp') {
      const { namespace } = await this.udp(true);
      this.undo(() => namespace.close());
      return { namespace, interest: namespace };
    }
    if (at === 'http') {
      const namespace = this.service.bridgeEnd();
      this.undo(() => namespace.close());
      return { namespace, interest: namespace };
    }
    return { namespace: await this.end(at) };
  }
}
