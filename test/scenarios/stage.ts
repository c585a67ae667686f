/**
 * The stage of the scenarios: kiosks, field gateways and people with phones on one virtual air, all with real,
 * unpatched noble and bleno, put together as a node does it; and what stands on the internet side: a memory hub under
 * virtual time, an MQTT broker in real time.
 */

import { BleNamespace } from '@rdv/gateway/namespaces/ble';
import { type MqttNamespace, openMqttNamespace } from '@rdv/gateway/namespaces/mqtt';
import { type BeaconRole, startBeaconRole } from '@rdv/gateway/node/beacon-role';
import { eidMatch } from '@rdv/gateway/node/eid-match';
import { type GatewayRole, startGatewayRole } from '@rdv/gateway/node/gateway-role';
import { createDialer } from '@rdv/gateway/radio/dialer';
import { Scanner } from '@rdv/gateway/radio/scanner';
import { type BrokerSight, type EmbeddedBroker, openEmbeddedBroker } from '@rdv/gateway/server/embedded-broker';
import { Air } from '@rdv/hardware/air/air';
import type { Controller } from '@rdv/hardware/air/controller';
import type { AirOptions } from '@rdv/hardware/air/options';
import { createRig, type Rig } from '@rdv/hardware/air/rig';
import { type InlineRadio, openInlineRadio } from '@rdv/hardware/host/inline-radio';
import { systemClock, systemRandom } from '@rdv/hardware/host/system';
import type { Central } from '@rdv/hardware/radio/central';
import type { Peripheral } from '@rdv/hardware/radio/peripheral';
import type { Conversation } from '@rdv/protocol/conversation/api';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import { MemoryStore } from '@rdv/protocol/core/memory-store';
import type { Clock, Random, Store } from '@rdv/protocol/core/ports';
import type { NodeKey } from '@rdv/protocol/link/peer';
import { MemoryNamespace } from '@rdv/protocol/namespace/memory';
import { MemoryHub } from '@rdv/protocol/namespace/memory-hub';
import type { Namespace } from '@rdv/protocol/namespace/port';
import { ed25519PublicKey, ed25519Sign } from '@rdv/protocol/primitives/primitives-node';
import { type Publication, type PublishOptions, publish } from '@rdv/protocol/rendezvous/publish';
import { type RespondOptions, respond } from '@rdv/protocol/rendezvous/respond';
import { TagSecret } from '@rdv/protocol/tag/derived';
import { newRandomTag } from '@rdv/protocol/tag/tag';
import { expect, vi } from 'vitest';
import { whileTimePasses } from '../support/passing-time.js';

// Every stack installs process-wide listeners; a stage holds dozens of stacks.
process.setMaxListeners(0);

const MODULES = {
  peripheral: new URL(import.meta.resolve('@rdv/beacon/bleno-peripheral')),
  central: new URL(import.meta.resolve('@rdv/gateway/radio/noble-central')),
};

/** 2027-01-15, 12:00 UTC: the middle of an epoch. */
export const NOON_MS = 1_800_014_400_000;

export interface StageOptions extends Omit<AirOptions, 'clock' | 'defer'> {
  /** Virtual time only. */
  readonly startMs?: number;
}

export interface Kiosk {
  readonly controller: Controller;
  readonly peripheral: Peripheral;
  readonly role: BeaconRole;
  /** Publishes to the beacon (and to `more`), and advertises. */
  publish(tag: TagSecret, options?: PublishOptions, more?: KioskPublication): Promise<Publication>;
}

export interface KioskPublication {
  readonly store?: Store;
  readonly namespaces?: readonly Namespace[];
}

export interface Visitor {
  readonly controller: Controller;
  readonly central: Central;
  readonly scanner: Scanner;
  readonly ble: BleNamespace;
}

export interface StagedGateway extends GatewayRole {
  readonly controller: Controller;
}

/** A node key of its own. */
export function newNodeKey(): NodeKey {
  const seed = systemRandom(32);
  return { publicKey: ed25519PublicKey(seed), sign: (message) => ed25519Sign(seed, message) };
}

/** A random tag's secret: nothing is stretched. */
export function newTag(): Promise<TagSecret> {
  return TagSecret.fromTag(newRandomTag(systemRandom));
}

export class Stage {
  readonly air: Air;
  readonly clock: Clock;
  readonly random: Random = systemRandom;
  /** What stands on the far side under virtual time. */
  readonly hub: MemoryHub;
  /** The key of every gateway that is not given another, and the one that kiosks trust. */
  readonly gatewayKey: NodeKey = newNodeKey();
  /** What the broker of `openBroker` has seen. */
  readonly sights: BrokerSight[] = [];
  readonly #rig: Rig | undefined;
  readonly #undo: (() => unknown)[] = [];
  #broker: EmbeddedBroker | undefined;

  private constructor(air: Air, clock: Clock, rig: Rig | undefined) {
    this.air = air;
    this.clock = clock;
    this.#rig = rig;
    this.hub = new MemoryHub({ clock });
  }

  /** Time stands still but for `pass`, `until` and `advance`. */
  static virtual(options: StageOptions = {}): Stage {
    const rig = createRig({ seed: 7, startMs: NOON_MS, ...options, controllers: 1 });
    rig.controllers[0]!.close();
    return new Stage(rig.air, rig.clock, rig);
  }

  static real(options: Omit<StageOptions, 'startMs'> = {}): Stage {
    return new Stage(new Air({ seed: 7, ...options }), systemClock, undefined);
  }

  get around(): { readonly clock: Clock; readonly random: Random; readonly log: typeof silentLogger } {
    return { clock: this.clock, random: this.random, log: silentLogger };
  }

  /** Called at the end, last one first. */
  undo(work: () => unknown): void {
    this.#undo.push(work);
  }

  /** What `work` comes to, while time passes; at most `limitMs` of it. */
  async pass<T>(work: Promise<T>, limitMs = 120_000): Promise<T> {
    if (!this.#rig) return work;
    let done = false;
    const mark = (): void => {
      done = true;
    };
    work.then(mark, mark);
    if (!(await this.#rig.until(() => done, limitMs))) expect.fail(`not done within ${limitMs} ms of virtual time`);
    return work;
  }

  /** Lets time pass until `done()` holds. */
  async until(done: () => boolean, limitMs = 30_000): Promise<void> {
    if (!this.#rig) await vi.waitFor(() => expect(done()).toBe(true), { timeout: limitMs, interval: 2 });
    else if (!(await this.#rig.until(done, limitMs)))
      expect.fail(`did not happen within ${limitMs} ms of virtual time`);
  }

  /** Virtual time only. */
  async advance(ms: number): Promise<void> {
    await this.#rig!.advance(ms);
  }

  /** Lets time pass until the clock says so. Virtual time only. */
  async moveTo(unixMs: number): Promise<void> {
    expect(this.clock.now()).toBeLessThan(unixMs);
    await this.advance(unixMs - this.clock.now());
  }

  /** For what waits for something real, like modules being loaded: time passes slowly. */
  #slowly<T>(work: Promise<T>): Promise<T> {
    return this.#rig ? whileTimePasses(this.#rig, work) : work;
  }

  async #radio(modules: Partial<typeof MODULES>, slots?: number): Promise<[Controller, InlineRadio]> {
    const controller = this.air.controller();
    const { clock } = this;
    const opening = openInlineRadio({ transport: controller, modules, clock, ...(slots ? { slots } : {}) });
    const radio = await this.#slowly(opening);
    this.undo(() => this.#slowly(radio.close()));
    return [controller, radio];
  }

  async kiosk(options: { readonly slots?: number } = {}): Promise<Kiosk> {
    const [controller, { peripheral }] = await this.#radio({ peripheral: MODULES.peripheral }, options.slots);
    const role = startBeaconRole({
      radio: { peripheral: peripheral! },
      ports: this.around,
      intervalMs: 100,
      trustedKeys: [this.gatewayKey.publicKey],
      nodeKey: undefined,
    });
    this.undo(() => this.#slowly(role.close()));
    return {
      controller,
      peripheral: peripheral!,
      role,
      publish: async (tag, publishOptions = {}, { store = new MemoryStore(), namespaces = [] } = {}) => {
        const around = { ...this.around, store, namespaces: [role.namespace, ...namespaces] };
        const publication = await publish(tag, publishOptions, around);
        role.advertise(publication.handle, tag, publishOptions.bridge ?? 'trusted');
        publication.onEvent((event) => {
          if (event !== 'restored' && event !== 'already-published') role.retire(publication.handle);
        });
        this.undo(() => this.#slowly(publication.close()));
        return publication;
      },
    };
  }

  async gateway(far: Namespace, nodeKey: NodeKey = this.gatewayKey): Promise<StagedGateway> {
    const [controller, { central }] = await this.#radio({ central: MODULES.central });
    const scanner = new Scanner(central!, this.around);
    const role = startGatewayRole({ radio: { central: central!, scanner }, far, nodeKey, ports: this.around });
    this.undo(() => this.#slowly(role.close().then(() => scanner.close())));
    return {
      controller,
      get status() {
        return role.status;
      },
      close: () => role.close(),
    };
  }

  /** Somebody with a phone, beside the kiosk. */
  async visitor(options: { readonly lingerMs?: number } = {}): Promise<Visitor> {
    const [controller, { central }] = await this.#radio({ central: MODULES.central });
    const scanner = new Scanner(central!, this.around);
    const ble = new BleNamespace({
      ...this.around,
      ...options,
      dialer: createDialer(scanner, central!),
      matchEid: (beaconKey) => eidMatch(this.clock, beaconKey),
    });
    this.undo(() => this.#slowly(ble.close().then(() => scanner.close())));
    return { controller, central: central!, scanner, ble };
  }

  /** A client of the hub. */
  remote(options: ConstructorParameters<typeof MemoryNamespace>[1] = {}): MemoryNamespace {
    const namespace = new MemoryNamespace(this.hub, options);
    this.undo(() => namespace.close());
    return namespace;
  }

  /** The broker, which writes down what it sees. Real time only. */
  async openBroker(): Promise<EmbeddedBroker> {
    if (this.#broker) return this.#broker;
    const broker = await openEmbeddedBroker({ witness: (sight) => this.sights.push(sight) });
    this.#broker = broker;
    this.undo(() => broker.close());
    return broker;
  }

  /** A connected client of the broker. */
  async mqtt(port?: number): Promise<MqttNamespace> {
    const target = {
      protocol: 'mqtt',
      host: '127.0.0.1',
      port: port ?? (await this.openBroker()).port,
      version: 4,
    } as const;
    const namespace = await openMqttNamespace({ ...this.around, target });
    this.undo(() => namespace.close());
    await namespace.firstAttempt;
    return namespace;
  }

  respond(tag: TagSecret, namespaces: readonly Namespace[], options: RespondOptions = {}): Promise<Conversation> {
    return respond(tag, options, { ...this.around, namespaces });
  }

  async close(): Promise<void> {
    for (const undo of this.#undo.splice(0).reverse()) await undo();
    if (this.#rig) await this.#rig.close();
    else this.air.close();
  }
}
