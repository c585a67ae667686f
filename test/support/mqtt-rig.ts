/** Three clients of a broker, or of whatever serves a namespace, behind a proxy each: for the namespace contract. */
import { type MqttNamespace, openMqttNamespace } from '@rdv/gateway/namespaces/mqtt';
import type { MqttTarget } from '@rdv/gateway/namespaces/mqtt-target';
import { systemClock, systemRandom } from '@rdv/hardware/host/system';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import type { Store } from '@rdv/protocol/core/ports';
import type { Namespace } from '@rdv/protocol/namespace/port';
import { expect, vi } from 'vitest';
import type { NamespaceRig } from '../contract/namespace.js';
import { bytes } from '../contract/records.js';
import { TcpProxy } from './tcp-proxy.js';

export const surroundings = { clock: systemClock, random: systemRandom, log: silentLogger };

/** A connected namespace. */
export async function openUp(target: MqttTarget, options: { store?: Store } = {}): Promise<MqttNamespace> {
  const namespace = await openMqttNamespace({ ...surroundings, ...options, target });
  await namespace.firstAttempt;
  return namespace;
}

/** Resolves when `done()` holds. */
export async function until(done: () => boolean, limitMs = 30_000): Promise<void> {
  await vi.waitFor(() => expect(done()).toBe(true), { timeout: limitMs, interval: 2 });
}

/** Resolves when everything that `client` was sent before has come: a frame to itself, round through the broker. */
export async function roundTrip(client: Namespace): Promise<void> {
  if (client.state !== 'up') return;
  const queue = bytes(16);
  let back = false;
  const subscription = client.subscribe(queue, () => {
    back = true;
  });
  await subscription.ready;
  await client.send(queue, bytes(1));
  await until(() => back);
  subscription.close();
}

/** On any broker. */
export function mqttRig(target: MqttTarget): Promise<NamespaceRig> {
  const { port } = target;
  return proxiedRig([port, port, port], (through) => openUp({ ...target, port: through }));
}

/** @param ports of what serves each client @param closeServers once the clients are gone */
export async function proxiedRig(
  ports: readonly [number, number, number],
  open: (port: number) => Promise<Namespace>,
  closeServers: () => Promise<void> = async () => {},
): Promise<NamespaceRig> {
  const proxies = await Promise.all(ports.map((port) => TcpProxy.open(port)));
  const clients = await Promise.all(proxies.map(({ port }) => open(port)));
  const proxyOf = (client: Namespace): TcpProxy => proxies[clients.indexOf(client)]!;
  return {
    clients: clients as [Namespace, Namespace, Namespace],
    until,
    settle: async () => {
      for (const client of clients) await roundTrip(client);
    },
    nowSeconds: () => Math.floor(Date.now() / 1000),
    setDown: (client) => proxyOf(client).break(),
    setUp: (client) => proxyOf(client).mend(),
    close: async () => {
      await Promise.all(clients.map((client) => client.close()));
      await Promise.all(proxies.map((proxy) => proxy.close()));
      await closeServers();
    },
  };
}
