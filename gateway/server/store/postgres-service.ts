/**
 * A namespace service's database on PostgreSQL, for several processes behind one address. What one process commits the
 * others hear of by LISTEN and NOTIFY, and read it from the log in the order of its numbers. The only file that imports
 * pg: the driver most of Node uses, without native code.
 *
 * A process that loses its connection asks for another, and goes on in the log where it was.
 */

import { fromHex, toHex } from '@rdv/protocol/core/bytes';
import { RdvError } from '@rdv/protocol/core/errors';
import type { Clock, Logger, Random, Timer } from '@rdv/protocol/core/ports';
import type { Client, ClientConfig } from 'pg';
import { recordHash } from '../record-hash.js';
import { isBridge } from './bridge-sender.js';
import type { DatabaseNews, ServiceDatabase } from './database.js';
import { type Batch, type Result, runBatch, writes } from './operations.js';
import { POSTGRES, schema } from './schema.js';
import { bytesOf, numberOf, type Sql, type SqlRow, type SqlValue } from './sql.js';

export interface PostgresServiceOptions {
  /** `postgres://USER@HOST/DATABASE`; what it leaves out comes from PGHOST, PGUSER, PGPASSWORD, ~/.pgpass, … */
  readonly url: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

const SCHEMA_VERSION = 1;
const SALT_BYTES = 32;
/** "RDV1": one process at a time makes or changes the tables. */
const MAKING_LOCK = 0x52445631;
const CHANNEL = 'rdv';
const CONNECT_MS = 10_000;
/** No statement of ours takes as long. */
const STATEMENT_MS = 60_000;
const TAIL_ROWS = 512;
const RETRY_MS = { first: 100, last: 10_000 };
const BIGINT = 20;
const BYTEA = 17;

/** Frames of other processes in order; or which record changed: id and owner, by people or by a bridge. */
const FRAMES = 'f';
const RECORD = /^([rb])([0-9a-f]{64})([0-9a-f]{64})$/;

/** @throws RdvError `config` when the database cannot be had: says why */
export async function openPostgresService(options: PostgresServiceOptions): Promise<ServiceDatabase> {
  const database = new PostgresDatabase(options);
  await database.open();
  return database;
}

class PostgresDatabase implements ServiceDatabase {
  readonly tells = true;
  salt: Uint8Array = new Uint8Array(0);
  readonly #options: PostgresServiceOptions;
  #writer: Client | undefined;
  #listener: Client | undefined;
  #news: DatabaseNews | undefined;
  /** The number of the last frame that was told. */
  #told = 0;
  #tailing = false;
  #more = false;
  #retry: Timer | undefined;
  #wait = RETRY_MS.first;
  #closed = false;

  constructor(options: PostgresServiceOptions) {
    this.#options = options;
  }

  async open(): Promise<void> {
    try {
      this.#writer = await this.#connect();
      await this.#make(this.#writer);
      const [head] = await rowsOf(this.#writer, 'SELECT salt, n FROM head');
      this.salt = bytesOf(head?.['salt']);
      this.#told = numberOf(head?.['n']);
      await this.#listen();
    } catch (error) {
      await this.close();
      throw new RdvError('config', `the database cannot be used: ${(error as Error).message}`, { cause: error });
    }
  }

  async run(batch: Batch): Promise<readonly Result[]> {
    const client = await this.#writing();
    const sql: Sql = {
      all: (statement, parameters) => rowsOf(client, statement, parameters),
      forUpdate: ' FOR UPDATE',
    };
    if (!writes(batch)) return this.#guarded(client, () => runBatch(sql, batch, recordHash));
    return this.#guarded(client, async () => {
      await client.query('BEGIN');
      try {
        const results = await runBatch(sql, batch, recordHash);
        for (const news of newsOf(batch, results)) await client.query('SELECT pg_notify($1, $2)', [CHANNEL, news]);
        await client.query('COMMIT');
        return results;
      } catch (error) {
        // If that fails, too, the connection is dropped, which does the same.
        await client.query('ROLLBACK');
        throw error;
      }
    });
  }

  listen(news: DatabaseNews): void {
    this.#news = news;
    void this.#tail();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#retry?.cancel();
    await Promise.allSettled([this.#writer?.end(), this.#listener?.end()]);
  }

  async #connect(): Promise<Client> {
    const { default: pg } = await import('pg');
    const config: ClientConfig = {
      connectionString: this.#options.url,
      connectionTimeoutMillis: CONNECT_MS,
      statement_timeout: STATEMENT_MS,
      query_timeout: STATEMENT_MS,
      keepAlive: true,
      application_name: 'rdv serve',
      // Ours beside whatever else is in the database.
      options: '-c search_path=rdv',
      types: {
        getTypeParser: (oid: number, format?: string) => {
          if (oid === BIGINT) return Number;
          if (oid === BYTEA && format !== 'binary') return (text: string) => fromHex(text.slice(2));
          return pg.types.getTypeParser(oid, format as 'text');
        },
      } as NonNullable<ClientConfig['types']>,
    };
    const client = new pg.Client(config);
    client.on('error', (error) => this.#lost(client, error));
    await client.connect();
    return client;
  }

  /** Makes the tables, unless another process has. */
  async #make(client: Client): Promise<void> {
    await client.query('BEGIN');
    try {
      await client.query('SELECT pg_advisory_xact_lock($1)', [MAKING_LOCK]);
      const [there] = await rowsOf(client, "SELECT count(*) AS n FROM pg_namespace WHERE nspname = 'rdv'");
      if (numberOf(there?.['n']) === 0) {
        await client.query('CREATE SCHEMA rdv');
        await client.query('CREATE TABLE version (version BIGINT NOT NULL)');
        await client.query('INSERT INTO version VALUES ($1)', [SCHEMA_VERSION]);
        for (const statement of schema(POSTGRES)) await client.query(statement);
        await client.query('INSERT INTO head VALUES ($1, 0, 0, 0, 0)', [Buffer.from(this.#options.random(SALT_BYTES))]);
      }
      const [version] = await rowsOf(client, 'SELECT version FROM version');
      if (numberOf(version?.['version']) !== SCHEMA_VERSION)
        throw new RdvError('config', 'its tables are of another version of RDV: use that one');
      await client.query('COMMIT');
    } catch (error) {
      await client.query('ROLLBACK').catch(() => {});
      throw error;
    }
  }

  async #writing(): Promise<Client> {
    if (this.#writer) return this.#writer;
    try {
      const client = await this.#connect();
      this.#writer = client;
      return client;
    } catch (cause) {
      throw unreachable(cause);
    }
  }

  /** A connection that failed in the middle of something is not used again. */
  async #guarded<T>(client: Client, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      this.#lost(client, error as Error);
      throw unreachable(error);
    }
  }

  #lost(client: Client, error: Error): void {
    if (this.#closed) return;
    if (client !== this.#writer && client !== this.#listener) return;
    this.#options.log.warn('the connection to the database is lost', { reason: error.message });
    if (client === this.#writer) this.#writer = undefined;
    client.end().catch(() => {});
    if (client !== this.#listener) return;
    this.#listener = undefined;
    this.#listenAgain();
  }

  async #listen(): Promise<void> {
    const client = await this.#connect();
    this.#listener = client;
    client.on('notification', ({ payload = '' }) => {
      const [, by, id, owner] = RECORD.exec(payload) ?? [];
      if (payload === FRAMES) void this.#tail();
      else if (id && owner) this.#news?.onRecords(fromHex(id), fromHex(owner), by === 'b');
    });
    client.on('end', () => this.#lost(client, new Error('the server ended it')));
    await client.query(`LISTEN ${CHANNEL}`);
    this.#wait = RETRY_MS.first;
    // What was committed while nobody listened.
    void this.#tail();
  }

  #listenAgain(): void {
    if (this.#closed) return;
    this.#retry?.cancel();
    this.#retry = this.#options.clock.schedule(this.#wait, () => {
      this.#wait = Math.min(RETRY_MS.last, this.#wait * 2);
      this.#listen().then(
        () => this.#news?.onGap(),
        () => this.#listenAgain(),
      );
    });
  }

  /** Reads the log on from what was told last. */
  async #tail(): Promise<void> {
    this.#more = true;
    if (this.#tailing || !this.#news) return;
    this.#tailing = true;
    try {
      while (this.#more && this.#listener && !this.#closed) {
        this.#more = false;
        const rows = await rowsOf(
          this.#listener,
          `SELECT n, queue, frame, sender FROM frame WHERE n > ? ORDER BY n LIMIT ${TAIL_ROWS}`,
          [this.#told],
        );
        const frames = rows.map((row) => ({
          n: numberOf(row['n']),
          queue: bytesOf(row['queue']),
          frame: bytesOf(row['frame']),
          brought: isBridge(bytesOf(row['sender'])),
        }));
        this.#told = frames.at(-1)?.n ?? this.#told;
        this.#news.onFrames(frames);
        if (rows.length === TAIL_ROWS) this.#more = true;
      }
    } catch {
      // The connection is lost; the next one begins with this.
    } finally {
      this.#tailing = false;
    }
  }
}

/** What a batch has to tell the processes. */
function newsOf({ operations }: Batch, results: readonly Result[]): Set<string> {
  const news = new Set<string>();
  for (const [i, operation] of operations.entries()) {
    const result = results[i];
    if (result?.kind === 'append') news.add(FRAMES);
    else if (operation.kind === 'put' && result?.kind === 'put' && result.outcome !== 'same')
      news.add(`${isBridge(operation.address) ? 'b' : 'r'}${toHex(operation.id)}${toHex(operation.owner)}`);
  }
  return news;
}

/** Statements are prepared once for each connection: there is a bounded set of them, but for lists of marks. */
async function rowsOf(
  client: Client,
  statement: string,
  parameters: readonly SqlValue[] = [],
): Promise<readonly SqlRow[]> {
  let count = 0;
  const text = statement.replace(/\?/g, () => `$${++count}`);
  const values = parameters.map((value) => (typeof value === 'number' ? value : Buffer.from(value)));
  const { rows } = await client.query<SqlRow>({ text, values });
  return rows;
}

function unreachable(cause: unknown): RdvError {
  if (cause instanceof RdvError) return cause;
  return new RdvError('busy', 'the database of the service does not answer: try again', { cause });
}
