/** Three nats-servers on loopback: JetStream with three replicas, MQTT on each. Nodes are killed and started again. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MqttTarget } from '@rdv/gateway/namespaces/mqtt-target';
import { vi } from 'vitest';
import { bytes, testOwner, testRecord } from '../../contract/records.js';
import { openUp } from '../../support/mqtt-rig.js';
import { freePort, ServerProcess } from '../../support/server-process.js';

export const SIZE = 3;

interface Node {
  readonly config: string;
  readonly port: number;
  server: ServerProcess | undefined;
}

export class NatsCluster {
  readonly #folder: string;
  readonly #nodes: readonly Node[];

  private constructor(folder: string, nodes: readonly Node[]) {
    this.#folder = folder;
    this.#nodes = nodes;
  }

  static async open(): Promise<NatsCluster> {
    const folder = mkdtempSync(join(tmpdir(), 'rdv-nats-'));
    const ports: { mqtt: number; client: number; route: number }[] = [];
    for (let i = 0; i < SIZE; i++) {
      ports.push({ mqtt: await freePort(), client: await freePort(), route: await freePort() });
    }
    const routes = ports.map(({ route }) => `"nats://127.0.0.1:${route}"`).join(', ');
    const nodes = ports.map(({ mqtt, client, route }, i): Node => {
      const config = join(folder, `n${i}.conf`);
      const lines = [
        `server_name: n${i}`,
        `listen: "127.0.0.1:${client}"`,
        `jetstream { store_dir: ${JSON.stringify(join(folder, `n${i}`))} }`,
        `cluster { name: rdv, listen: "127.0.0.1:${route}", routes: [${routes}] }`,
        `mqtt { host: "127.0.0.1", port: ${mqtt}, stream_replicas: ${SIZE} }`,
      ];
      writeFileSync(config, `${lines.join('\n')}\n`);
      return { config, port: mqtt, server: undefined };
    });
    const cluster = new NatsCluster(folder, nodes);
    await Promise.all(nodes.map((_, i) => cluster.start(i)));
    await cluster.ready();
    return cluster;
  }

  async start(index: number): Promise<void> {
    const node = this.#nodes[index]!;
    node.server = await ServerProcess.start('/usr/sbin/nats-server', ['-c', node.config], node.port);
  }

  /** SIGKILL. */
  async kill(index: number): Promise<void> {
    await this.#nodes[index]!.server?.kill();
  }

  /** All its nodes, beginning with that of `first`. */
  target(first = 0): MqttTarget {
    const [node, ...others] = this.#nodes.map((_, i) => this.#nodes[(first + i) % SIZE]!.port);
    return {
      protocol: 'mqtt',
      host: '127.0.0.1',
      port: node!,
      others: others.map((port) => ({ host: '127.0.0.1', port })),
      version: 4,
    };
  }

  /** The node of `index` alone. */
  single(index: number): MqttTarget {
    return { protocol: 'mqtt', host: '127.0.0.1', port: this.#nodes[index]!.port, version: 4 };
  }

  /** Resolves once every node that runs takes a record: the cluster has its leaders. */
  async ready(): Promise<void> {
    for (const [i, { server }] of this.#nodes.entries()) {
      if (!server?.running) continue;
      await vi.waitFor(
        async () => {
          const namespace = await openUp(this.single(i));
          try {
            const record = testRecord({
              id: bytes(32),
              owner: testOwner(),
              seq: 1,
              notAfter: Math.floor(Date.now() / 1000) + 60,
            });
            await namespace.put(record, { signal: AbortSignal.timeout(5000) });
          } finally {
            await namespace.close();
          }
        },
        { timeout: 60_000, interval: 200 },
      );
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#nodes.map(({ server }) => server?.kill()));
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
