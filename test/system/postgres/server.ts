/** A PostgreSQL of its own, in a directory that goes with it; started and killed as one likes. */
import { execFileSync } from 'node:child_process';
import { chownSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, ServerProcess } from '../../support/server-process.js';

export interface NewDatabase {
  readonly name: string;
  readonly url: string;
}

let databases = 0;

const BINARIES = '/usr/lib/postgresql';

export class PostgresServer {
  readonly #directory: string;
  readonly #port: number;
  #server: ServerProcess | undefined;

  private constructor(directory: string, port: number) {
    this.#directory = directory;
    this.#port = port;
  }

  static async start(): Promise<PostgresServer> {
    const directory = mkdtempSync(join(tmpdir(), 'rdv-postgres-'));
    if (process.getuid?.() === 0) chownSync(directory, Number(idOf('-u')), Number(idOf('-g')));
    const server = new PostgresServer(directory, await freePort());
    const [command, ...args] = asOwner('initdb', '-D', join(directory, 'data'), '-U', 'rdv', '-A', 'trust', '-N');
    execFileSync(command!, args, { stdio: 'ignore', cwd: '/' });
    await server.start();
    return server;
  }

  async start(): Promise<void> {
    const settings = ['-c', 'listen_addresses=127.0.0.1', '-c', 'max_connections=50'];
    // What it does by itself would be counted as ours.
    settings.push('-c', 'autovacuum=off');
    // In its directory, which goes with it: what is killed clears nothing away.
    settings.push('-c', 'dynamic_shared_memory_type=mmap');
    const [command, ...args] = asOwner(
      ...['postgres', '-D', join(this.#directory, 'data'), '-p', String(this.#port), '-k', this.#directory],
      ...settings,
    );
    this.#server = await ServerProcess.start(command!, args, this.#port);
    // It listens before it lets anybody in.
    for (;;) {
      try {
        this.query('SELECT 1');
        return;
      } catch (error) {
        if (!String(error).includes('starting up') && !String(error).includes('recovery')) throw error;
      }
    }
  }

  /** SIGKILL: as a power cut, but for the disk. */
  async kill(): Promise<void> {
    await this.#server?.kill();
  }

  query(statement: string, database = 'postgres'): string {
    const args = ['-h', '127.0.0.1', '-p', String(this.#port), '-U', 'rdv', '-d', database, '-Atc', statement];
    return execFileSync('psql', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
  }

  /** A new, empty database. */
  database(): NewDatabase {
    const name = `rdv_${++databases}`;
    this.query(`CREATE DATABASE ${name}`);
    return { name, url: `postgres://rdv@127.0.0.1:${this.#port}/${name}` };
  }

  async close(): Promise<void> {
    await this.kill();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** PostgreSQL does not run as root. */
function asOwner(binary: string, ...args: string[]): string[] {
  const [version = ''] = readdirSync(BINARIES).toSorted().toReversed();
  const command = [join(BINARIES, version, 'bin', binary), ...args];
  if (process.getuid?.() !== 0) return command;
  return ['setpriv', '--reuid', 'postgres', '--regid', 'postgres', '--clear-groups', '--', ...command];
}

function idOf(which: '-u' | '-g'): string {
  return execFileSync('id', [which, 'postgres'], { encoding: 'utf8' }).trim();
}
