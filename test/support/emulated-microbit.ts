/**
 * The micro:bit's firmware in QEMU, on a serial port of its own. A unix socket is its UART and socat is the cable: pulled
 * and plugged at will while the board runs on. Its memory can be read, and the flash of one before it put in.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, vi } from 'vitest';
import { built } from './firmware-build.js';

/** The two pages of settings. */
const SETTINGS_AT = 0x3f800;
const SETTINGS_BYTES = 2048;
const until = (done: () => boolean): Promise<void> =>
  vi.waitFor(() => expect(done()).toBe(true), { timeout: 40_000, interval: 2 });

export interface MicrobitOptions {
  /** File in hardware/firmware/dist. Default: the build with ADVANCE. */
  readonly image?: string;
  /** 2048 bytes of settings pages to begin with. */
  readonly flash?: Uint8Array;
  /** Further arguments of QEMU. */
  readonly qemu?: readonly string[];
}

interface Answer {
  readonly return?: unknown;
  readonly error?: { readonly desc: string };
}

export class EmulatedMicrobit {
  /** The serial port, while the cable is plugged in. */
  readonly path: string;
  readonly #folder: string;
  readonly #qemu: ChildProcess;
  readonly #monitor: Socket;
  readonly #answers: ((answer: Answer) => void)[] = [];
  #cable: ChildProcess | undefined;

  private constructor(folder: string, qemu: ChildProcess, monitor: Socket) {
    this.path = join(folder, 'tty');
    this.#folder = folder;
    this.#qemu = qemu;
    this.#monitor = monitor;
    createInterface({ input: monitor }).on('line', (line) => {
      const answer = JSON.parse(line) as Answer;
      if ('return' in answer || 'error' in answer) this.#answers.shift()?.(answer);
    });
  }

  /** `make microbit` must have been done (`makeFirmware`). It runs when this resolves, and the cable is plugged in. */
  static async start(options: MicrobitOptions = {}): Promise<EmulatedMicrobit> {
    const folder = mkdtempSync(join(tmpdir(), 'rdv-microbit-'));
    const at = (name: string): string => join(folder, name);
    const server = (name: string): string => `unix:${at(name)},server=on,wait=off`;
    const args = ['-M', 'microbit', '-display', 'none', '-monitor', 'none'];
    args.push('-kernel', built(options.image ?? 'microbit-test.elf'), '-S', '-gdb', server('gdb'));
    args.push('-serial', server('uart'), '-qmp', server('qmp'), ...(options.qemu ?? []));
    const child = spawn('qemu-system-arm', args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let said = '';
    let over = false;
    child.stderr.on('data', (chunk) => {
      said += chunk;
    });
    for (const event of ['exit', 'error']) {
      child.once(event, () => {
        over = true;
      });
    }
    await until(() => over || ['gdb', 'uart', 'qmp'].every((name) => existsSync(at(name))));
    if (over) throw new Error(`qemu-system-arm did not start: ${said}`);
    const monitor = connect(at('qmp'));
    await once(monitor, 'connect');
    const board = new EmulatedMicrobit(folder, child, monitor);
    await board.#ask('qmp_capabilities');
    await board.plug();
    if (options.flash) await debugWrite(at('gdb'), SETTINGS_AT, options.flash);
    await board.#ask('cont');
    return board;
  }

  async plug(): Promise<void> {
    const uart = join(this.#folder, 'uart');
    this.#cable = spawn('socat', [`pty,raw,echo=0,link=${this.path}`, `unix-connect:${uart}`], { stdio: 'ignore' });
    await until(() => existsSync(this.path));
  }

  async unplug(): Promise<void> {
    const gone = once(this.#cable!, 'exit');
    this.#cable!.kill();
    await gone;
    rmSync(this.path, { force: true });
  }

  /** The reset button. */
  async pressReset(): Promise<void> {
    await this.#ask('system_reset');
  }

  /** Memory at an address, or of a variable of the test image. */
  async read(where: number | string, bytes: number): Promise<Uint8Array> {
    const filename = join(this.#folder, 'memory');
    const val = typeof where === 'number' ? where : symbol(where);
    // Not pmemsave: the processor of this machine has an address space of its own.
    await this.#ask('memsave', { val, size: bytes, filename, 'cpu-index': 0 });
    return readFileSync(filename);
  }

  readFlash(): Promise<Uint8Array> {
    return this.read(SETTINGS_AT, SETTINGS_BYTES);
  }

  /** What the radio sends, as on the air: header, address, advertising data. Empty when it is silent. */
  async radioPdu(): Promise<Uint8Array> {
    const pdu = await this.read('radio_advert', 39);
    return pdu.subarray(0, pdu[1] === 0 ? 0 : 2 + pdu[1]!);
  }

  /** Loss of power. Idempotent. */
  async kill(): Promise<void> {
    this.#monitor.destroy();
    for (const child of [this.#qemu, this.#cable]) {
      if (!child || child.exitCode !== null || child.signalCode !== null) continue;
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #ask(execute: string, args?: object): Promise<unknown> {
    const answer = new Promise<Answer>((resolve) => this.#answers.push(resolve));
    this.#monitor.write(`${JSON.stringify({ execute, arguments: args })}\n`);
    const { error, return: value } = await answer;
    if (error) throw new Error(`QEMU: ${execute}: ${error.desc}`);
    return value;
  }
}

/** Where a variable of the test image lies. */
export function symbol(name: string): number {
  const found = new RegExp(`^([0-9a-f]+) \\w ${name}$`, 'm').exec(readFileSync(built('microbit-test.sym'), 'utf8'));
  if (!found) throw new Error(`the test image has no ${name}`);
  return Number.parseInt(found[1]!, 16);
}

/** Writes memory, flash included, through the debugger's door, and leaves. */
async function debugWrite(path: string, address: number, bytes: Uint8Array): Promise<void> {
  const socket = connect(path);
  await once(socket, 'connect');
  let received = '';
  socket.on('data', (chunk) => {
    received += chunk;
  });
  const command = async (text: string): Promise<void> => {
    received = '';
    const sum = [...text].reduce((all, c) => (all + c.charCodeAt(0)) & 255, 0);
    socket.write(`$${text}#${sum.toString(16).padStart(2, '0')}`);
    await until(() => received.includes('$OK#'));
    socket.write('+');
  };
  for (let at = 0; at < bytes.length; at += 256) {
    const part = Buffer.from(bytes.subarray(at, at + 256));
    await command(`M${(address + at).toString(16)},${part.length.toString(16)}:${part.toString('hex')}`);
  }
  await command('D');
  socket.destroy();
}
