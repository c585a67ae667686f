/** Somebody else's server as a child process: a free port for it, up when it answers there, ended by force. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { expect, vi } from 'vitest';

/** A TCP port of 127.0.0.1 that is free at the moment. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Whether somebody listens on `port` of 127.0.0.1. */
export function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

export class ServerProcess {
  readonly #child: ChildProcess;
  #output = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk) => {
        this.#output = (this.#output + String(chunk)).slice(-20_000);
      });
    }
  }

  /** Resolves once it answers on `port`. @throws Error with what it wrote, when it ends before */
  static async start(command: string, args: readonly string[], port: number, env?: object): Promise<ServerProcess> {
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env } as NodeJS.ProcessEnv,
    });
    const server = new ServerProcess(child);
    let failed: unknown;
    child.once('error', (error) => {
      failed = error;
    });
    let up = false;
    const over = (): boolean => failed !== undefined || child.exitCode !== null || child.signalCode !== null;
    void (async () => {
      while (!up && !over()) up = await answers(port);
    })();
    await vi.waitFor(() => expect(up || over()).toBe(true), { timeout: 15_000, interval: 5 });
    if (!up) throw new Error(`${command} did not start: ${failed ?? server.#output}`);
    return server;
  }

  /** The last 20,000 characters that it wrote. */
  get output(): string {
    return this.#output;
  }

  /** Resident memory in MiB; 0 once it is gone. */
  get memoryMiB(): number {
    try {
      const [, kib = '0'] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${this.#child.pid}/status`, 'utf8')) ?? [];
      return Number(kib) / 1024;
    } catch {
      return 0;
    }
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** SIGKILL: nothing is said to anybody. Resolves when it is gone. Idempotent. */
  async kill(): Promise<void> {
    if (!this.running) return;
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await gone;
  }
}
