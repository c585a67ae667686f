/** The real `rdv` command as a child process: what it writes is waited for, never slept for. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemRandom } from '@rdv/hardware/host/system';
import { formatTag, newRandomTag } from '@rdv/protocol/tag/tag';

export const RDV: string = fileURLToPath(new URL('../../../gateway/bin/rdv.js', import.meta.url));

/** Longer than any of them takes on a busy machine, and shorter than the tests, which could not say what was missing. */
const PATIENCE_MS = 100_000;

/** A tag that costs no stretching. */
export function freshTag(): string {
  return formatTag(newRandomTag(systemRandom));
}

export class Rdv {
  readonly exited: Promise<number>;
  readonly child: ChildProcessWithoutNullStreams;
  readonly #out: Buffer[] = [];
  #err = '';
  #over = false;
  #wake: () => void = () => {};

  constructor(args: readonly string[], options: { readonly input?: Uint8Array | string; readonly env?: object } = {}) {
    const env = { ...process.env, RDV_STATE: undefined, RDV_NAMESPACE: undefined, RDV_ADAPTER: undefined };
    this.child = spawn(process.execPath, [RDV, ...args], { env: { ...env, ...options.env } as NodeJS.ProcessEnv });
    this.child.stdin.on('error', () => {});
    if (options.input !== undefined) this.child.stdin.end(options.input);
    this.child.stdout.on('data', (chunk: Buffer) => {
      this.#out.push(chunk);
      this.#wake();
    });
    this.child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      this.#err += chunk;
      this.#wake();
    });
    this.exited = new Promise((resolve) => {
      this.child.once('close', (code, signal) => {
        this.#over = true;
        this.#wake();
        resolve(code ?? (signal === 'SIGKILL' ? 137 : 1));
      });
    });
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#out);
  }

  get out(): string {
    return this.bytes.toString('utf8');
  }

  get err(): string {
    return this.#err;
  }

  /** Once standard output or error matches. @throws Error with both, when it ends or goes on for long without */
  async says(what: RegExp): Promise<string> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.#wake();
    }, PATIENCE_MS);
    try {
      for (;;) {
        const match = what.exec(this.#text);
        if (match) return match[1] ?? match[0];
        if (this.#over || late) throw new Error(`rdv ${late ? 'goes on' : 'ended'} without ${what}:\n${this.#text}`);
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      clearTimeout(timer);
    }
  }

  get #text(): string {
    return `${this.out}\n${this.#err}`;
  }

  /** @throws Error with what it wrote, when it does not end */
  async ends(): Promise<number> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`rdv does not end:\n${this.#text}`)), PATIENCE_MS);
    });
    return Promise.race([this.exited, late]).finally(() => clearTimeout(timer));
  }

  /** The values it printed on standard output with --json. */
  get values(): Record<string, unknown>[] {
    return jsonLines(this.out);
  }

  get events(): Record<string, unknown>[] {
    return jsonLines(this.#err);
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }
}

export function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** Processes and a directory, gone after the test. */
export class Bench {
  readonly directory: string = mkdtempSync(join(tmpdir(), 'rdv-cli-'));
  readonly #started: Rdv[] = [];

  /** Where no state directory is named it has one of its own: that of this machine's user may be in use. */
  start(args: readonly string[], options: ConstructorParameters<typeof Rdv>[1] = {}): Rdv {
    const RDV_STATE = this.path(`own-${this.#started.length}`);
    const rdv = new Rdv(args, { ...options, env: { RDV_STATE, ...options.env } });
    this.#started.push(rdv);
    return rdv;
  }

  /** Runs to its end. */
  async run(args: readonly string[], input: Uint8Array | string = ''): Promise<Rdv & { readonly code: number }> {
    const rdv = this.start(args, { input });
    return Object.assign(rdv, { code: await rdv.ends() });
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  file(name: string, content: string | Uint8Array): string {
    writeFileSync(this.path(name), content, { mode: 0o600 });
    return this.path(name);
  }

  async close(): Promise<void> {
    for (const rdv of this.#started) rdv.kill('SIGKILL');
    await Promise.all(this.#started.map(({ exited }) => exited));
    rmSync(this.directory, { recursive: true, force: true });
  }
}
