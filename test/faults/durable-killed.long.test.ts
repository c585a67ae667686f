/** SPEC §7.7 with real processes: an end is killed fifty times while both speak; nothing is lost, doubled or repeated. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openMqttNamespace } from '@rdv/gateway/namespaces/mqtt';
import { openSqliteStore } from '@rdv/gateway/node/store/sqlite-store';
import { openEmbeddedBroker } from '@rdv/gateway/server/embedded-broker';
import { systemClock, systemRandom } from '@rdv/hardware/host/system';
import { openConversation } from '@rdv/protocol/conversation/open';
import { sasCommitment } from '@rdv/protocol/conversation/sas';
import { fromUtf8, toHex, utf8 } from '@rdv/protocol/core/bytes';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import { MemoryStore } from '@rdv/protocol/core/memory-store';
import { expect, it } from 'vitest';
import { Witness } from '../protocol/conversation/durable-support.js';

const KILLS = 50;
const COUNT = 600;

it('an end killed fifty times while both speak', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'rdv-durable-'));
  const witness = new Witness();
  const broker = await openEmbeddedBroker({
    witness: (sight) => {
      if (sight.kind !== 'publish' || !sight.topic.includes('/q/')) return;
      witness.see(utf8(sight.topic), sight.payload);
    },
  });
  const around = { clock: systemClock, random: systemRandom, log: silentLogger };
  const target = { protocol: 'mqtt', host: '127.0.0.1', port: broker.port, version: 4 } as const;
  const namespace = await openMqttNamespace({ ...around, target });
  const [a, b, h, seed, r] = Array.from({ length: 5 }, () => Uint8Array.from(randomBytes(32))) as Uint8Array[];
  const secrets = { sendKey: toHex(b!), receiveKey: toHex(a!), channelBinding: toHex(h!), seed: toHex(seed!) };
  const publisher = openConversation({
    ...around,
    role: 'publisher',
    secrets: { sendKey: a!, receiveKey: b!, channelBinding: h!, seed: seed!.slice() },
    sas: sasCommitment(r!),
    namespaces: [namespace],
    durable: { store: new MemoryStore(), handle: 'kept' },
  });
  const got: string[] = [];
  void (async () => {
    for await (const message of publisher) got.push(fromUtf8(message));
  })().catch(() => {});
  let recorded = 0;
  let child: ChildProcess | undefined;
  const start = async (): Promise<ChildProcess> => {
    const argument = JSON.stringify({ directory, port: broker.port, secrets, r: toHex(r!), count: COUNT });
    const started = spawn(process.execPath, [join(import.meta.dirname, 'durable-killed-child.mjs'), argument], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise<void>((resolve) => {
      started.stdout.on('data', (chunk: Buffer) => {
        const lines = String(chunk).trim().split('\n');
        recorded = Math.max(recorded, ...lines.map(Number).filter((line) => !Number.isNaN(line)));
        resolve();
      });
    });
    return started;
  };
  const dead = (victim: ChildProcess) => new Promise((resolve) => victim.once('exit', resolve));
  try {
    for (let kill = 0; kill < KILLS; kill++) {
      child = await start();
      for (let i = 0; i < COUNT / KILLS; i++) publisher.send(utf8(String(kill * (COUNT / KILLS) + i))).catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, randomInt(120)));
      const gone = dead(child);
      child.kill('SIGKILL');
      await gone;
    }
    child = await start();
    await expect.poll(() => [recorded, got.length], { timeout: 60_000, interval: 50 }).toEqual([COUNT, COUNT]);
    await new Promise((resolve) => setTimeout(resolve, 500));
    const gone = dead(child);
    child.kill('SIGKILL');
    await gone;
    const key = { path: join(directory, 'key'), credentials: undefined };
    const paths = { path: join(directory, 'store.db'), firstPath: join(directory, 'first'), key };
    const store = await openSqliteStore(paths, systemRandom, silentLogger);
    const numbers = Array.from({ length: COUNT }, (_, i) => String(i));
    expect(store.list('app/').map(([, value]) => fromUtf8(value))).toEqual(numbers);
    expect(got).toEqual(numbers);
    expect(witness.repeated).toBe(0);
    expect(witness.runs.size).toBeGreaterThan(20);
    await store.close();
  } finally {
    child?.kill('SIGKILL');
    await namespace.close();
    await broker.close();
    rmSync(directory, { recursive: true, force: true });
  }
}, 300_000);
