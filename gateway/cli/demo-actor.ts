/** One player of the demo: the real `rdv` command as a process of its own, watched through its JSON output. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { RdvError } from '@rdv/protocol/core/errors';

const RDV = fileURLToPath(new URL('../../bin/rdv.js', import.meta.url));

export type ActorEvent = Readonly<Record<string, unknown>> & { readonly event?: string };

interface Waiting {
  readonly matches: (event: ActorEvent) => boolean;
  readonly resolve: (event: ActorEvent) => void;
  readonly reject: (error: Error) => void;
}

export class Actor {
  readonly name: string;
  /** Resolves with the exit code. */
  readonly exited: Promise<number>;
  readonly #child: ChildProcess;
  readonly #events: ActorEvent[] = [];
  readonly #waiting = new Set<Waiting>();
  readonly #lines: string[] = [];
  #wakeLine: () => void = () => {};
  #over = false;

  /** @param data whether standard output is a conversation's bytes rather than JSON lines */
  constructor(name: string, args: readonly string[], options: { data?: boolean; tag?: string } = {}) {
    this.name = name;
    this.#child = spawn(process.execPath, [RDV, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#child.stdin?.on('error', () => {});
    this.#read(this.#child.stderr, (line) => this.#event(line));
    this.#read(this.#child.stdout, (line) => {
      if (!options.data) return this.#event(line);
      this.#lines.push(line);
      this.#wakeLine();
    });
    this.exited = new Promise((resolve) => {
      this.#child.once('close', (code) => {
        this.#over = true;
        for (const waiting of this.#waiting) waiting.reject(this.#died());
        this.#wakeLine();
        resolve(code ?? 1);
      });
    });
  }

  #died(): RdvError {
    const error = this.#events.findLast((event) => event.event === 'error');
    return new RdvError('closed', `${this.name} ended early${error ? `: ${String(error['message'])}` : ''}`);
  }

  #read(stream: NodeJS.ReadableStream | null, onLine: (line: string) => void): void {
    let rest = '';
    stream?.setEncoding('utf8');
    stream?.on('data', (chunk: string) => {
      const parts = (rest + chunk).split('\n');
      rest = parts.pop() ?? '';
      for (const line of parts) onLine(line);
    });
    stream?.on('end', () => {
      if (rest !== '') onLine(rest);
    });
  }

  #event(line: string): void {
    let event: ActorEvent;
    try {
      event = JSON.parse(line) as ActorEvent;
    } catch {
      return; // something a vendor printed
    }
    this.#events.push(event);
    for (const waiting of this.#waiting) {
      if (!waiting.matches(event)) continue;
      this.#waiting.delete(waiting);
      waiting.resolve(event);
    }
  }

  /** The event called `name`, past or to come. @throws RdvError `timeout`, or what ended the process */
  async event(name: string, timeoutMs = 20_000): Promise<ActorEvent> {
    const matches = (event: ActorEvent): boolean => event.event === name;
    const past = this.#events.find(matches);
    if (past) return past;
    if (this.#over) throw this.#died();
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { matches, resolve, reject };
      this.#waiting.add(waiting);
      const timer = setTimeout(() => {
        if (!this.#waiting.delete(waiting)) return;
        reject(new RdvError('timeout', `${this.name}: no "${name}" within ${timeoutMs / 1000} s`));
      }, timeoutMs);
      timer.unref();
    });
  }

  /** Next line of the conversation. @throws RdvError `timeout`, or what ended the process */
  async line(timeoutMs = 20_000): Promise<string> {
    const until = performance.now() + timeoutMs;
    for (;;) {
      const line = this.#lines.shift();
      if (line !== undefined) return line;
      if (this.#over) throw this.#died();
      const leftMs = until - performance.now();
      if (leftMs <= 0) throw new RdvError('timeout', `${this.name}: heard nothing for ${timeoutMs / 1000} s`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#wakeLine = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  say(text: string): void {
    this.#child.stdin?.write(`${text}\n`);
  }

  endInput(): void {
    this.#child.stdin?.end();
  }

  /** SIGTERM, and SIGKILL if that is not enough. */
  async stop(): Promise<number> {
    if (!this.#over) this.#child.kill('SIGTERM');
    const force = setTimeout(() => this.#child.kill('SIGKILL'), 3000);
    const code = await this.exited;
    clearTimeout(force);
    return code;
  }
}
