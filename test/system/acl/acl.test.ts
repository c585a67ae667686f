/**
 * `rdv acl` on real brokers: members publish and meet, strangers neither list nor overwrite. What a stranger does is
 * done with mosquitto's own clients.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MqttTarget } from '@rdv/gateway/namespaces/mqtt-target';
import { recordTopic } from '@rdv/gateway/namespaces/mqtt-topics';
import { toHex } from '@rdv/protocol/core/bytes';
import { decodeRecord } from '@rdv/protocol/record/envelope';
import type { TagSecret } from '@rdv/protocol/tag/derived';
import { epochOf } from '@rdv/protocol/tag/derived';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { bytes, testOwner, testRecord } from '../../contract/records.js';
import { RDV } from '../../gateway/cli/rdv-process.js';
import { expectTalk, firstOf, newTag, publishOn, respondOn } from '../../support/mqtt-rendezvous.js';
import { openUp } from '../../support/mqtt-rig.js';
import { freePort, ServerProcess } from '../../support/server-process.js';

const folder = mkdtempSync(join(tmpdir(), 'rdv-acl-'));
const file = (name: string, content: string): string => {
  writeFileSync(join(folder, name), content, { mode: 0o600 });
  return join(folder, name);
};
const servers: ServerProcess[] = [];
const witnesses: ChildProcess[] = [];
afterAll(async () => {
  for (const child of witnesses) child.kill();
  await Promise.all(servers.map((server) => server.kill()));
  rmSync(folder, { recursive: true, force: true });
});

const PASSWORD = 'correct-horse';
const rdvAcl = (...args: string[]): string =>
  execFileSync(process.execPath, [RDV, 'acl', ...args], { encoding: 'utf8' });
const members = ['--publisher', 'kiosk', '--responder', 'app'];

interface Door {
  readonly port: number;
  /** How somebody who is no member connects, as arguments of mosquitto's clients. */
  readonly stranger: readonly string[];
  /** Members may list ids: the broker's rules cannot tell. */
  readonly membersList: boolean;
}

const user = (port: number, username: string): MqttTarget => ({
  protocol: 'mqtt',
  host: '127.0.0.1',
  port,
  username,
  password: PASSWORD,
  version: 4,
});

async function mosquitto(port: number, ...lines: string[]): Promise<void> {
  const config = [
    `listener ${port} 127.0.0.1`,
    'set_tcp_nodelay true',
    ...(process.getuid?.() === 0 ? ['user root'] : []),
    ...lines,
  ];
  servers.push(
    await ServerProcess.start('/usr/sbin/mosquitto', ['-c', file(`${port}.conf`, `${config.join('\n')}\n`)], port),
  );
}

/** mosquitto_sub on `filters` for `seconds`. @returns what it was given, and what the broker said of its filters */
function listen(door: Door, who: readonly string[], filters: readonly string[]): { seen: string[]; stop(): void } {
  const args = ['-h', '127.0.0.1', '-p', String(door.port), ...who, '-V', '311', '-q', '1', '-F', '%t'];
  const child = spawn('mosquitto_sub', [...args, ...filters.flatMap((filter) => ['-t', filter])], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  witnesses.push(child);
  const seen: string[] = [];
  child.stdout.on('data', (chunk) => seen.push(...String(chunk).trim().split('\n')));
  return { seen, stop: () => child.kill() };
}

/** mosquitto_pub; brokers of 3.1.1 refuse in silence, or by hanging up. */
function overwrite(door: Door, who: readonly string[], topic: string): void {
  const args = [
    '-h',
    '127.0.0.1',
    '-p',
    String(door.port),
    ...who,
    '-V',
    '311',
    '-q',
    '1',
    '-r',
    '-t',
    topic,
    '-m',
    'mine',
  ];
  try {
    execFileSync('mosquitto_pub', args, { stdio: 'pipe', timeout: 5000 });
  } catch {
    // Refused: what counts is what stands there afterwards.
  }
}

async function meet(
  tag: TagSecret,
  publisher: MqttTarget,
  responder: MqttTarget,
  during: (topic: string) => Promise<void>,
) {
  const [one, two] = [await openUp(publisher), await openUp(responder)];
  const publication = await publishOn(tag, one);
  const [theirs, mine] = await Promise.all([firstOf(publication), respondOn(tag, two)]);
  await expectTalk(mine, theirs);
  const { id } = tag.epoch(epochOf(Math.floor(Date.now() / 1000)));
  const records: Uint8Array[] = [];
  const watch = two.watch({ id }, (record) => records.push(record));
  await watch.answered;
  const own = decodeRecord(records[0]!);
  await during(recordTopic('rdv', own.id, own.owner));
  watch.close();
  // Nothing was overwritten: whoever asks now gets the same record, and an answer.
  const again: Uint8Array[] = [];
  const later = two.watch({ id }, (record) => again.push(record));
  await later.answered;
  expect(again.map(toHex)).toEqual([toHex(records[0]!)]);
  later.close();
  const [stillTheirs, stillMine] = await Promise.all([firstOf(publication), respondOn(tag, two)]);
  await expectTalk(stillMine, stillTheirs);
  await publication.unpublish();
  await publication.close();
  await Promise.all([one.close(), two.close()]);
}

const doors: Record<string, () => Promise<Door>> = {
  'mosquitto, acl_file': async () => {
    const port = await freePort();
    const passwords = file('passwords', '');
    for (const name of ['kiosk', 'app', 'outsider'])
      execFileSync('mosquitto_passwd', ['-b', passwords, name, PASSWORD], { stdio: 'pipe' });
    await mosquitto(
      port,
      'allow_anonymous false',
      `password_file ${passwords}`,
      `acl_file ${file('acl', rdvAcl('mosquitto', ...members))}`,
    );
    return { port, stranger: ['-u', 'outsider', '-P', PASSWORD], membersList: true };
  },
  'mosquitto, dynamic security': async () => {
    const port = await freePort();
    const state = join(folder, 'dynsec.json');
    execFileSync('mosquitto_ctrl', ['dynsec', 'init', state, 'admin', PASSWORD], { stdio: 'pipe' });
    const library = execFileSync('dpkg', ['-L', 'mosquitto'], { encoding: 'utf8' })
      .split('\n')
      .find((path) => path.endsWith('dynamic_security.so'));
    await mosquitto(port, 'allow_anonymous true', `plugin ${library}`, `plugin_opt_config_file ${state}`);
    const admin = ['-h', '127.0.0.1', '-p', String(port), '-u', 'admin', '-P', PASSWORD];
    for (const name of ['kiosk', 'app'])
      execFileSync('mosquitto_ctrl', [...admin, 'dynsec', 'createClient', name, '-p', PASSWORD], { stdio: 'pipe' });
    execFileSync('sh', [file('acl.sh', rdvAcl('mosquitto-dynsec', ...members, '--open')), ...admin], { stdio: 'pipe' });
    return { port, stranger: [], membersList: false };
  },
  nats: async () => {
    const port = await freePort();
    const config = [
      'server_name: one',
      `listen: "127.0.0.1:${await freePort()}"`,
      `jetstream { store_dir: ${JSON.stringify(join(folder, 'nats'))} }`,
      `mqtt { host: "127.0.0.1", port: ${port} }`,
      rdvAcl('nats', ...members),
    ];
    const env = { RDV_PASSWORD_KIOSK: PASSWORD, RDV_PASSWORD_APP: PASSWORD };
    servers.push(
      await ServerProcess.start('/usr/sbin/nats-server', ['-c', file('nats.conf', config.join('\n'))], port, env),
    );
    return { port, stranger: [], membersList: true };
  },
};

const opened = new Map<string, Promise<Door>>();
function openDoor(name: string): Promise<Door> {
  const door = opened.get(name) ?? doors[name]!();
  opened.set(name, door);
  return door;
}

describe.each(Object.keys(doors))('%s', (name) => {
  it('members publish and meet; strangers neither list nor overwrite', async () => {
    const door = await openDoor(name);
    const wildcards = ['#', 'rdv/#', 'rdv/1/r/#', 'rdv/1/r/+/+', 'rdv/1/q/+', '+/+/+/+/+'];
    const app = ['-u', 'app', '-P', PASSWORD];
    const stranger = listen(door, door.stranger, wildcards);
    const member = listen(door, app, wildcards);
    await meet(newTag(), user(door.port, 'kiosk'), user(door.port, 'app'), async (topic) => {
      for (const who of [door.stranger, app]) overwrite(door, who, topic);
    });
    expect(stranger.seen).toEqual([]);
    // The witness can see at all: where the rules cannot keep members from listing, they do list.
    if (door.membersList) await vi.waitFor(() => expect(member.seen).not.toEqual([]), { timeout: 40_000 });
    else expect(member.seen).toEqual([]);
    stranger.stop();
    member.stop();
  });
});

it('lets anybody respond where the broker can tell an exact id from a wildcard, and put nothing', async () => {
  const door = await openDoor('mosquitto, dynamic security');
  const anonymous: MqttTarget = { protocol: 'mqtt', host: '127.0.0.1', port: door.port, version: 5 };
  await meet(newTag(), user(door.port, 'kiosk'), anonymous, async (topic) => overwrite(door, [], topic));
  const nobody = await openUp(anonymous);
  const record = testRecord({
    id: bytes(32),
    owner: testOwner(),
    seq: 1,
    notAfter: Math.floor(Date.now() / 1000) + 600,
  });
  await expect(nobody.put(record)).rejects.toMatchObject({ code: 'not-authorized' });
  await nobody.close();
});
