/** `rdv serve` as a process that can be killed and started again where it was. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, ServerProcess } from './server-process.js';

const RDV = join(import.meta.dirname, '..', '..', 'gateway', 'bin', 'rdv.js');

export class ServiceProcess {
  readonly port: number;
  readonly #state: string;
  readonly #args: readonly string[];
  #server: ServerProcess | undefined;

  private constructor(port: number, state: string, args: readonly string[]) {
    this.port = port;
    this.#state = state;
    this.#args = args;
  }

  /** With a state directory of its own. */
  static async start(...args: string[]): Promise<ServiceProcess> {
    const service = new ServiceProcess(await freePort(), mkdtempSync(join(tmpdir(), 'rdv-serve-')), args);
    await service.start();
    return service;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get output(): string {
    return this.#server?.output ?? '';
  }

  /** Resident memory in MiB. */
  get memoryMiB(): number {
    return this.#server?.memoryMiB ?? 0;
  }

  /** Again, on the same port and database. */
  async start(): Promise<void> {
    const args = [RDV, 'serve', '--json', '--state', this.#state, '--listen', `127.0.0.1:${this.port}`, ...this.#args];
    this.#server = await ServerProcess.start(process.execPath, args, this.port);
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    await this.#server?.kill();
  }

  async close(): Promise<void> {
    await this.kill();
    rmSync(this.#state, { recursive: true, force: true });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
