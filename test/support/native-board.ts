/** The beacon firmware as a process of this machine, behind a pseudo-terminal: a board without hardware. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { built } from './firmware-build.js';

/** What the board's radio would send from now on. Hex; the address most significant byte first. */
export interface BoardAir {
  /** 0 nothing, 1 EID, 2 needs time, 3 the host's. */
  readonly kind: number;
  readonly intervalMs: number;
  readonly scannable: boolean;
  readonly address: string;
  readonly data: string;
  readonly scan: string;
}

export interface NativeBoardOptions {
  /** File that outlives the process; absent: settings are lost with it. */
  readonly flash?: string;
  /** Damaged bytes of a million, each way. */
  readonly noisePpm?: number;
  readonly seed?: number;
  /** Board time runs so many times faster. */
  readonly speed?: number;
  /** Power fails in this flash operation, from 1. The process ends with 9. */
  readonly cut?: number;
  /** Without ADVANCE. */
  readonly release?: boolean;
}

export class NativeBoard {
  /** Everything that was put on the air, the newest last. */
  readonly airs: BoardAir[] = [];
  /** How it ended: its exit code, or null when it was killed. */
  readonly ended: Promise<number | null>;
  readonly path: string;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, path: string) {
    this.#child = child;
    this.path = path;
    this.ended = once(child, 'exit').then(([code]) => code as number | null);
  }

  /** `make native` must have been done (`makeFirmware`). @throws Error with what it wrote, when it does not start */
  static async start(options: NativeBoardOptions = {}): Promise<NativeBoard> {
    const { flash, noisePpm, seed, speed, cut, release } = options;
    const args = Object.entries({ flash, noise: noisePpm, seed, speed, cut }).flatMap(([name, value]) =>
      value === undefined ? [] : [`--${name}`, String(value)],
    );
    const child = spawn(built('native'), release ? [...args, '--release'] : args, {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    child.stderr.on('data', (chunk) => {
      said += chunk;
    });
    const lines = createInterface({ input: child.stdout });
    let board: NativeBoard | undefined;
    await new Promise<void>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', () => reject(new Error(`the native board ended: ${said}`)));
      lines.on('line', (line) => {
        const { pty, air } = JSON.parse(line) as { pty?: string; air?: BoardAir };
        if (pty) board = new NativeBoard(child, pty);
        if (air) board?.airs.push(air);
        resolve();
      });
    });
    return board!;
  }

  get air(): BoardAir | undefined {
    return this.airs.at(-1);
  }

  /** The reset button: the clock survives it. */
  pressReset(): void {
    this.#child.kill('SIGUSR1');
  }

  /** Loss of power, at once. Resolves when it is gone. Idempotent. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.ended;
  }
}
