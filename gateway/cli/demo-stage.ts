/**
 * The demo's stage: a virtual air, a broker that writes down what it sees, a field gateway, a kiosk. Each node is the
 * `rdv run` command as a process of its own.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Air } from '@rdv/hardware/air/air';
import { listenAir } from '@rdv/hardware/air/server';
import { systemClock } from '@rdv/hardware/host/system';
import { RdvError } from '@rdv/protocol/core/errors';
import type { HandlerConfig } from '../node/config.js';
import { type BrokerSight, openEmbeddedBroker } from '../server/embedded-broker.js';
import { Actor } from './demo-actor.js';

export interface DemoOptions {
  readonly tag: string;
  /** Real radios: the kiosk's and the gateway's. Empty: the virtual air. */
  readonly adapters: readonly string[];
  /** A broker instead of the embedded one. */
  readonly broker: string | undefined;
  /** Milliseconds between steps, for readers. */
  readonly paceMs: number;
  readonly signal: AbortSignal;
  readonly tell: (step: string, text: string, fields?: Readonly<Record<string, unknown>>) => void;
}

export interface Stage {
  readonly kiosk: Actor;
  readonly gateway: Actor;
  readonly broker: string;
  /** Where the players' files are. */
  readonly directory: string;
  /** Files that hold the tags: a tag never stands in another process's arguments. */
  readonly tagFile: string;
  readonly singleFile: string;
  /** Arguments that give a responder beside the kiosk its radio. */
  readonly beside: () => readonly string[];
  readonly sights: readonly BrokerSight[];
  readonly times: Record<string, number>;
  readonly cleanUp: (() => Promise<unknown> | unknown)[];
}

const DESK = fileURLToPath(new URL('../../examples/desk.mjs', import.meta.url));
/** Two text tags are stretched meanwhile, which takes a small or busy machine its time. */
const UP_WITHIN_MS = 60_000;
/** The single-shot tag. */
export const SINGLE = 'locker 17, one parcel';
const quoted = (path: string): string => `'${path.replaceAll("'", `'\\''`)}'`;

/** Opens air, broker, gateway and kiosk. What was opened is in `cleanUp`, also when this throws. */
export async function setStage(
  options: DemoOptions,
  cleanUp: Stage['cleanUp'],
  desk: (directory: string) => Promise<HandlerConfig> = async () => ({
    exec: `${quoted(process.execPath)} ${quoted(DESK)}`,
  }),
): Promise<Stage> {
  const { tell } = options;
  const directory = mkdtempSync(join(tmpdir(), 'rdv-demo-'));
  cleanUp.push(() => rmSync(directory, { recursive: true, force: true }));
  const tagFile = join(directory, 'tag');
  const singleFile = join(directory, 'single-tag');
  writeFileSync(tagFile, options.tag, { mode: 0o600 });
  writeFileSync(singleFile, SINGLE, { mode: 0o600 });
  const times: Record<string, number> = {};
  const sights: BrokerSight[] = [];
  let [kioskAdapter, gatewayAdapter] = options.adapters;
  let beside: Stage['beside'] = () => ['--state', join(directory, 'gateway')];
  if (kioskAdapter === undefined) {
    const air = new Air({ clock: systemClock });
    const server = await listenAir(air, { path: join(directory, 'air.sock') });
    cleanUp.push(() => server.close());
    kioskAdapter = gatewayAdapter = `virtual:${join(directory, 'air.sock')}`;
    let visitors = 0;
    const adapter = kioskAdapter;
    beside = () => ['--state', join(directory, `visitor-${++visitors}`), '--adapter', adapter];
    tell('air', 'a virtual air is open: LE controllers in software, real noble and bleno on top');
  } else if (gatewayAdapter === undefined) {
    throw new RdvError(
      'adapter',
      'two radios are needed, one for the kiosk and one for the gateway: --adapter hci0,hci1',
    );
  }
  let broker = options.broker ?? '';
  if (broker === '') {
    const embedded = await openEmbeddedBroker({ witness: (sight) => sights.push(sight) });
    cleanUp.push(() => embedded.close());
    broker = embedded.url;
    tell('broker', `an MQTT broker listens on 127.0.0.1:${embedded.port}, and writes down all it sees`);
  }

  const started = performance.now();
  const node = async (name: string, config: Readonly<Record<string, unknown>>): Promise<[Actor, number, string]> => {
    const path = join(directory, `${name}.yaml`);
    // JSON is YAML.
    writeFileSync(path, JSON.stringify({ version: 1, state: join(directory, name), log: 'warn', ...config }), {
      mode: 0o600,
    });
    const actor = new Actor(name, ['run', '--json', '--trust-clock', '--config', path]);
    cleanUp.push(() => actor.stop());
    const up = await actor.event('up', UP_WITHIN_MS);
    return [actor, performance.now() - started, String(up['nodeKey'])];
  };
  const [gateway, gatewayMs, gatewayKey] = await node('gateway', {
    roles: { gateway: { adapter: gatewayAdapter, namespace: broker } },
  });
  times['gateway up'] = gatewayMs;
  tell('gateway', `a field gateway is up. It knows no tag. Its key: ${gatewayKey.slice(0, 16)}…`);
  const [kiosk, kioskMs] = await node('kiosk', {
    roles: { beacon: { adapter: kioskAdapter, 'interval-ms': 100, 'trusted-gateways': [gatewayKey] } },
    publications: [
      {
        tag: options.tag,
        title: 'billboard',
        namespaces: ['ble:'],
        handler: await desk(directory),
      },
      {
        tag: SINGLE,
        title: 'parcel',
        lifecycle: 'single',
        namespaces: [broker],
        handler: { reply: 'Code 4711.' },
      },
    ],
  });
  times['kiosk up'] = kioskMs - gatewayMs;
  tell('kiosk', `a kiosk is up. It trusts that gateway and advertises "${options.tag}" through bleno`);
  return { kiosk, gateway, broker, directory, tagFile, singleFile, beside, sights, times, cleanUp };
}
