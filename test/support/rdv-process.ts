/** The `rdv` command as a child process under test, read through its JSON lines; can be killed without warning. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, vi } from 'vitest';

const RDV = fileURLToPath(new URL('../../gateway/bin/rdv.js', import.meta.url));

export class RdvProcess {
  /** Names of the events so far. */
  readonly events: string[] = [];
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;

  constructor(args: readonly string[]) {
    this.#child = spawn(process.execPath, [RDV, ...args, '--json'], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#exited = new Promise((resolve) => this.#child.once('exit', () => resolve()));
    for (const stream of [this.#child.stdout!, this.#child.stderr!]) {
      createInterface({ input: stream }).on('line', (line) => this.events.push(nameOf(line)));
    }
  }

  async until(event: string, limitMs = 50_000): Promise<void> {
    await vi.waitFor(() => expect(this.events).toContain(event), { timeout: limitMs, interval: 5 });
  }

  /** SIGKILL. Resolves when it is gone. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }
}

function nameOf(line: string): string {
  try {
    return String((JSON.parse(line) as { event?: unknown }).event);
  } catch {
    return line;
  }
}
