/** A publisher in a process of its own, on a broker and an SQLite store, that kills itself with SIGKILL where told. */
import { type ChildProcess, spawn } from 'node:child_process';

export interface MortalOptions {
  readonly port: number;
  /** The tag's secret, in hex: no derivation slows it down. */
  readonly secret: string;
  /** Where its store is. */
  readonly directory: string;
  /** Accepts so many; 1 is a single-shot. */
  readonly limit: number;
  /** At its nth commit (from 0): before it, while it is written (`turns` turns of the event loop later), or after. */
  readonly kill?: { readonly at: number; readonly when: 'before' | 'during' | 'after'; readonly turns?: number };
}

const SCRIPT = `
  import { openMqttNamespace } from '@rdv/gateway/namespaces/mqtt';
  import { openSqliteStore } from '@rdv/gateway/node/store/sqlite-store';
  import { systemClock, systemRandom } from '@rdv/hardware/host/system';
  import { fromHex, utf8 } from '@rdv/protocol/core/bytes';
  import { silentLogger } from '@rdv/protocol/core/logger-silent';
  import { storedPublications } from '@rdv/protocol/rendezvous/publication-store';
  import { publish } from '@rdv/protocol/rendezvous/publish';
  import { TagSecret } from '@rdv/protocol/tag/derived';
  const { port, secret, directory, limit, kill } = JSON.parse(process.argv[1]);
  const around = { clock: systemClock, random: systemRandom, log: silentLogger };
  const path = directory + '/store.db';
  const options = { path, firstPath: directory + '/store', key: { path: directory + '/store.key' } };
  const inner = await openSqliteStore(options, systemRandom, silentLogger);
  const die = () => process.kill(process.pid, 'SIGKILL');
  const dieIn = (turns) => (turns > 0 ? setImmediate(dieIn, turns - 1) : die());
  let commits = 0;
  const store = {
    get: (key) => inner.get(key),
    list: (prefix) => inner.list(prefix),
    close: () => inner.close(),
    async commit(writes) {
      const mine = commits++ === kill?.at;
      if (mine && kill.when === 'before') die();
      const committed = inner.commit(writes);
      if (mine && kill.when === 'during') dieIn(kill.turns ?? 0);
      await committed;
      if (mine && kill.when === 'after') die();
    },
  };
  const namespace = await openMqttNamespace({ ...around, target: { protocol: 'mqtt', host: '127.0.0.1', port, version: 4 } });
  await namespace.firstAttempt;
  const [handle] = storedPublications(store);
  const lifecycle = limit === 1 ? 'single' : { limit };
  const publication = await publish(new TagSecret(fromHex(secret)), { lifecycle, ...(handle && { handle }) }, {
    ...around, store, namespaces: [namespace],
  });
  process.stdout.write('accepted ' + publication.status.accepted + '\\n');
  process.stdin.on('data', () => process.stdout.write('accepted ' + publication.status.accepted + '\\n')).on('end', die);
  for await (const conversation of publication) void (async () => {
    for await (const message of conversation) await conversation.send(message);
  })().catch(() => {});
  await new Promise(() => {});`;

export class MortalPublisher {
  readonly #child: ChildProcess;
  #said = '';
  readonly dead: Promise<void>;

  constructor(options: MortalOptions) {
    this.#child = spawn(process.execPath, ['--input-type=module', '-e', SCRIPT, JSON.stringify(options)], {
      cwd: import.meta.dirname,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#child.stdin!.on('error', () => {});
    this.#child.stdout!.on('data', (text: Buffer) => {
      this.#said += text;
    });
    this.dead = new Promise((resolve, reject) => {
      this.#child.on('close', (code) => (code ? reject(new Error(`the publisher ended with ${code}`)) : resolve()));
    });
    this.dead.catch(() => {});
  }

  /** How many it has accepted, ever: asked now. */
  async accepted(): Promise<number> {
    const before = this.#said.length;
    this.#child.stdin!.write('?');
    await new Promise<void>((resolve) => {
      const look = (): void => (this.#said.length > before ? resolve() : void setImmediate(look));
      look();
    });
    return Number(this.#said.trim().split(' ').at(-1));
  }

  kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    return this.dead;
  }
}
