/** Somebody else's server as a child process: a free port for it, up when it answers there, ended by force. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';

const START_MS = 50_000;

/** Processes that run side by side begin far from each other. */
let lastPort = 10_000 + ((process.pid * 61) % 20_000);

/**
 * A TCP port of 127.0.0.1 where nobody listens. Below 32768: what lies above, the kernel gives to whoever asks for any
 * port, perhaps before the server that this one is for has begun, or while it is down; and who then tries to connect
 * there may even be connected to himself.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = lastPort++;
    const server = createServer();
    const free = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true));
    });
    if (!free) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
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
    const end = performance.now() + START_MS;
    while (!up && !over() && performance.now() < end) {
      up = await answers(port);
      if (!up) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    if (up) return server;
    const why = `${failed ?? ''} ${over() ? 'it ended' : `nobody answers on ${port}`}: ${server.#output}`;
    if (failed === undefined) await server.kill();
    throw new Error(`${command} did not start: ${why}`);
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
