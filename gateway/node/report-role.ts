/** The report role: what this node says of itself on a broker, put together from its parts. */
import { RdvError } from '@rdv/protocol/core/errors';
import type { Store, Surroundings } from '@rdv/protocol/core/ports';
import { openMqttPlain } from '../namespaces/mqtt-plain.js';
import { DEFAULT_BASE } from '../namespaces/mqtt-topics.js';
import { parseNamespaceUrl } from '../namespaces/parse-url.js';
import type { SightingListener } from '../radio/scanner.js';
import type { NodeStatus, PublicationInfo } from './api.js';
import { hearingOf } from './health.js';
import { Report, reportName, reportWill } from './report.js';
import { SightingsReporter } from './sightings-report.js';

export interface ReportConfig {
  /** The broker: `mqtt://…` as for namespaces. */
  readonly namespace: string;
  readonly intervalMs: number;
  /** Fingerprints (32 bytes) of the keys whose holders may change something. */
  readonly operators: readonly Uint8Array[];
  readonly place?: string | undefined;
}

/** The node, as far as it is reported. */
export interface ReportedNode {
  status(): Promise<NodeStatus>;
  list(): Promise<readonly PublicationInfo[]>;
  unpublish(target: { readonly handle: string }): Promise<void>;
}

export interface ReportRole {
  /** This node's name on brokers. */
  readonly node: string;
  close(): Promise<void>;
}

/** What others may know of a status: no names of brokers, adapters or keys. */
export function reported(status: NodeStatus, startedAt: number): Readonly<Record<string, unknown>> {
  const { version, roles, health, adapters, namespaces, bridge, onAir } = status;
  const states = Object.fromEntries(
    adapters.map((adapter, index) => [
      `adapter/${index}/state`,
      {
        state: adapter.state,
        radio: hearingOf(adapter),
        ...(adapter.quietMs === undefined ? {} : { quietSeconds: Math.round(adapter.quietMs / 1000) }),
      },
    ]),
  );
  return {
    info: { version, roles, started: startedAt, adapters: adapters.length },
    health: {
      ...health,
      uptimeSeconds: Math.round(status.uptimeMs / 1000),
      namespaces: { up: namespaces.filter(({ state }) => state === 'up').length, of: namespaces.length },
      ...(bridge ? { bridge } : {}),
      ...(onAir ? { onAir: onAir.state } : {}),
    },
    ...states,
  };
}

/**
 * @param listen where beacons are heard; undefined: this node reports none
 * @throws RdvError `config` when the URL is no broker's
 */
export async function startReportRole(
  node: ReportedNode,
  config: ReportConfig,
  ports: Surroundings & { readonly store: Store },
  listen: ((listener: SightingListener) => () => void) | undefined,
): Promise<ReportRole> {
  const { clock, random, store } = ports;
  const spec = parseNamespaceUrl(config.namespace);
  if (spec.kind !== 'mqtt') throw new RdvError('config', 'report.namespace must be an MQTT broker: mqtt://HOST');
  const base = spec.target.base ?? DEFAULT_BASE;
  const name = await reportName(store, random);
  const log = ports.log.scope('report');
  const topics = await openMqttPlain({ clock, random, log, target: spec.target, will: reportWill(base, name) });
  const startedAt = Math.floor(clock.now() / 1000);
  const facts = async (): Promise<Readonly<Record<string, unknown>>> => reported(await node.status(), startedAt);
  const fact = async (which: string): Promise<unknown> => (await facts())[which];
  const common = { topics, base, node: name, clock, log };
  const report = new Report({
    ...common,
    intervalMs: config.intervalMs,
    operators: config.operators,
    facts,
    reading: { info: () => fact('info'), health: () => fact('health') },
    changing: {
      // Titles stay in the node: whoever reads the broker would read them.
      list: async () =>
        (await node.list()).map(({ handle, lifecycle, state, accepted, expiresAt }) => ({
          handle,
          lifecycle,
          state,
          accepted,
          expiresAt,
        })),
      unpublish: async (handle) => {
        await node.unpublish({ handle });
        return {};
      },
    },
  });
  const { place } = config;
  const sightings = listen && new SightingsReporter({ ...common, listen, place });
  return {
    node: name,
    async close() {
      sightings?.close();
      await report.close();
    },
  };
}
