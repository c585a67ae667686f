/** The real `rdv` command as a child process: what it writes is waited for, never slept for. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemRandom } from '@rdv/hardware/host/system';
import { formatTag, newRandomTag } from '@rdv/protocol/tag/tag';

export const RDV: string = fileURLToPath(new URL('../../../gateway/bin/rdv.js', import.meta.url));

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

  /** Once standard output or error matches. */
  async says(what: RegExp): Promise<string> {
    for (;;) {
      const text = `${this.out}\n${this.#err}`;
      const match = what.exec(text);
      if (match) return match[1] ?? match[0];
      if (this.#over) throw new Error(`rdv ended without ${what}:\n${text}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
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

  start(args: readonly string[], options: ConstructorParameters<typeof Rdv>[1] = {}): Rdv {
    const rdv = new Rdv(args, options);
    this.#started.push(rdv);
    return rdv;
  }

  /** Runs to its end. */
  async run(args: readonly string[], input: Uint8Array | string = ''): Promise<Rdv & { readonly code: number }> {
    const rdv = this.start(args, { input });
    return Object.assign(rdv, { code: await rdv.exited });
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
