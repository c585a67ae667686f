/** Two mosquittos that bridge each other: one is killed in the middle of conversations, and comes back (SPEC §10). */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MqttNamespace } from '@rdv/gateway/namespaces/mqtt';
import type { MqttTarget } from '@rdv/gateway/namespaces/mqtt-target';
import { afterAll, expect, it } from 'vitest';
import { newTag, publishOn } from '../../support/mqtt-rendezvous.js';
import { openUp, until } from '../../support/mqtt-rig.js';
import { freePort, ServerProcess } from '../../support/server-process.js';
import { echoAll, meetings } from './meetings.js';

const folder = mkdtempSync(join(tmpdir(), 'rdv-bridged-'));
const ports = [await freePort(), await freePort()] as const;
const servers: (ServerProcess | undefined)[] = [];
const namespaces: MqttNamespace[] = [];
afterAll(async () => {
  await Promise.all(namespaces.map((namespace) => namespace.close()));
  await Promise.all(servers.map((server) => server?.kill()));
  rmSync(folder, { recursive: true, force: true });
});

/** The second one brings everything both ways; each writes down what it retains at every change. */
async function start(index: 0 | 1): Promise<void> {
  const bridge = [
    'connection pair',
    `address 127.0.0.1:${ports[0]}`,
    'topic # both 1',
    'bridge_protocol_version mqttv311',
    'cleansession false',
    'restart_timeout 1',
  ];
  const lines = [
    `listener ${ports[index]} 127.0.0.1`,
    'allow_anonymous true',
    'set_tcp_nodelay true',
    ...(process.getuid?.() === 0 ? ['user root'] : []),
    'persistence true',
    `persistence_location ${folder}/${index}-`,
    'autosave_on_changes true',
    'autosave_interval 1',
    ...(index === 1 ? bridge : []),
  ];
  const config = join(folder, `${index}.conf`);
  writeFileSync(config, `${lines.join('\n')}\n`);
  servers[index] = await ServerProcess.start('/usr/sbin/mosquitto', ['-c', config], ports[index]);
}

async function open(first: 0 | 1): Promise<MqttNamespace> {
  const others = [{ host: '127.0.0.1', port: ports[first === 0 ? 1 : 0] }];
  const target: MqttTarget = { protocol: 'mqtt', host: '127.0.0.1', port: ports[first], others };
  const namespace = await openUp(target);
  namespaces.push(namespace);
  return namespace;
}

it.each([1, 0] as const)('50 conversations across them while number %i is killed twice', async (victim) => {
  await Promise.all(servers.map((server) => server?.kill()));
  await start(0);
  await start(1);
  const tag = newTag();
  const publication = await publishOn(tag, await open(0), { maxWaiting: 64 });
  const heard = echoAll(publication);
  const guest = await open(1);
  let over = false;
  const meeting = meetings(tag, [guest], heard, { count: 50, atOnce: 5, messages: 120, enough: () => over });
  for (let kill = 0; kill < 2; kill++) {
    const before = heard.size;
    await until(() => heard.size >= before + 6, 60_000);
    await servers[victim]!.kill();
    // With the other half gone, both are on the one that is left.
    await until(() => heard.size >= before + 12, 60_000);
    await start(victim);
  }
  over = true;
  const { opened, slowestMs, medianMs, wrong } = await meeting;
  console.log(`bridged: ${opened} conversations, median ${medianMs.toFixed(0)} ms, slowest ${slowestMs.toFixed(0)} ms`);
  expect(wrong).toEqual([]);
  expect(opened).toBeGreaterThanOrEqual(50);
  expect(slowestMs).toBeLessThan(20_000);
  await publication.unpublish();
  await publication.close();
}, 120_000);
