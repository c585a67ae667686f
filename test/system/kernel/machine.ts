/**
 * An emulated machine with a stock Debian kernel, whose Bluetooth adapters are controllers of a virtual air in this
 * process. It sees the host's files read-only; commands go in and come out over a port of their own.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync, watch, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Air } from '@rdv/hardware/air/air';
import type { Controller } from '@rdv/hardware/air/controller';
import { type AirServer, listenAir } from '@rdv/hardware/air/server';
import { systemClock } from '@rdv/hardware/host/system';
import { unpacked } from '../../support/debian-packages.js';
import { compile, type Image, makeImage } from './image.js';

const here = dirname(fileURLToPath(import.meta.url));
export const ROOT: string = join(here, '..', '..', '..');
/** For an emulated processor on a busy machine. */
const BOOT_MS = 120_000;
const COMMAND_MS = 120_000;

let made: { readonly image: Image; readonly relay: Uint8Array } | undefined;

/** What every machine needs. Made once, before the first: it takes seconds in which no air answers a kernel. */
function parts(): NonNullable<typeof made> {
  if (made) return made;
  const folder = mkdtempSync(join(tmpdir(), 'rdv-kernel-'));
  try {
    const relay = readFileSync(compile(join(here, 'guest', 'relay.c'), join(folder, 'relay')));
    made = { image: makeImage(join(here, 'guest', 'init.sh')), relay };
    return made;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The kernel ended by itself: its known faults are tried once more (see `verdicts.ts`). */
export class KernelPanic extends Error {}

export class Machine {
  /** hci0 and on, as controllers of the air. */
  readonly adapters: readonly string[];
  readonly air: Air;
  readonly bluez: string;
  readonly #folder: string;
  readonly #servers: AirServer[] = [];
  readonly #listener: Server;
  readonly #waiting = new Map<string, (status: number) => void>();
  #qemu: ChildProcess | undefined;
  #agent: Socket | undefined;
  #console = '';
  #next = 0;
  #gone: (error: Error) => void = () => {};
  readonly #lost: Promise<never>;

  private constructor(adapters: number) {
    this.#folder = mkdtempSync(join(tmpdir(), 'rdv-kernel-'));
    chmodSync(this.#folder, 0o755);
    this.air = new Air({ clock: systemClock });
    this.adapters = Array.from({ length: adapters }, (_, i) => `00:aa:02:00:00:0${i + 1}`);
    this.bluez = unpacked('bluez');
    this.#listener = createServer();
    this.#lost = new Promise((_, reject) => {
      this.#gone = reject;
    });
    this.#lost.catch(() => {});
  }

  /** Resolves when it takes commands and has its adapters. */
  static async boot(adapters: number): Promise<Machine> {
    const machine = new Machine(adapters);
    try {
      await machine.#start();
      return machine;
    } catch (error) {
      await machine.close();
      throw error;
    }
  }

  async #start(): Promise<void> {
    const file = (name: string): string => join(this.#folder, name);
    const { image, relay } = parts();
    writeFileSync(file('relay'), relay, { mode: 0o755 });
    copyFileSync(join(here, 'guest', 'agent.sh'), file('agent.sh'));
    writeFileSync(file('prepare.sh'), this.#preparation());
    const sockets: string[] = [];
    for (const index of this.adapters.keys()) {
      await this.plug(index);
      sockets.push(this.#socket(index));
    }
    const connected = new Promise<Socket>((resolve) => this.#listener.once('connection', resolve));
    await new Promise<void>((resolve) => this.#listener.listen(file('agent.sock'), resolve));
    const ports = [file('agent.sock'), ...sockets].flatMap((path, i) => [
      ...['-chardev', `socket,id=port${i},path=${path},reconnect=1`],
      ...['-device', `virtserialport,chardev=port${i},nr=${i + 1}`],
    ]);
    const share = (tag: string, path: string, more: string): string[] => [
      ...['-fsdev', `local,id=${tag},path=${path},security_model=none,multidevs=remap${more}`],
      ...['-device', `virtio-9p-pci,fsdev=${tag},mount_tag=${tag}`],
    ];
    // The processor's counter is the host's: measured on a busy host, the machine's time would run at another speed.
    const words = 'console=ttyS0 panic=-1 oops=panic quiet loglevel=4 mitigations=off nokaslr random.trust_cpu=on';
    const args = [
      ...['-machine', 'pc,accel=tcg,usb=off,vmport=off,hpet=off', '-cpu', 'max'],
      // One processor: with two the kernel has faults of its own in L2CAP.
      ...['-smp', '1', '-m', '1024', '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
      ...[
        '-kernel',
        image.kernel,
        '-initrd',
        image.initrd,
        '-append',
        `${words} tsc=unstable clocksource=acpi_pm no_timer_check preempt=full`,
      ],
      ...['-serial', 'stdio', '-device', 'virtio-rng-pci', '-netdev', 'user,id=net'],
      ...['-device', 'virtio-net-pci,netdev=net,romfile=', '-device', 'virtio-serial-pci', ...ports],
      ...share('host', '/', ',readonly=on'),
      ...share('out', this.#folder, ''),
    ];
    // Whoever kills the test kills the machine, too: util-linux sees to it.
    const command = ['--pdeathsig', 'KILL', 'qemu-system-x86_64', ...args];
    this.#qemu = spawn('setpriv', command, { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#qemu.stdout!, this.#qemu.stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#console = (this.#console + text).slice(-50_000);
      });
    }
    this.#qemu.once('error', (error) => this.#gone(error));
    this.#qemu.once('close', (code) => {
      const why = /Kernel panic[^\r\n]*/.exec(this.#console)?.[0];
      this.#gone(why ? new KernelPanic(`${why}\n${this.#console}`) : new Error(`it ended (${code}): ${this.#console}`));
    });
    this.#agent = await this.#within(connected, BOOT_MS, 'QEMU did not start');
    const ready = new Promise<void>((resolve) => this.#waiting.set('ready', () => resolve()));
    const said = createInterface({ input: this.#agent });
    // The port may break when the machine is killed, and both tell; that it has ended, its process tells.
    for (const each of [this.#agent, said]) each.on('error', () => {});
    said.on('line', (line) => {
      const [id = '', status] = line.split(' ');
      this.#waiting.get(id)?.(Number(status));
      this.#waiting.delete(id);
    });
    await this.#within(ready, BOOT_MS, 'the machine did not come up');
  }

  /** Everything that a fresh installation of ours would have, as a script for its first process. */
  #preparation(): string {
    const parents: string[] = [];
    for (const path of [ROOT, process.execPath, this.bluez]) {
      for (let parent = dirname(path); parent !== '/'; parent = dirname(parent)) parents.push(parent);
    }
    const ports = this.adapters.map((_, i) => `/dev/port${i + 2}`);
    return [
      // Where the tree is in somebody's home, the ordinary user must get through.
      ...[...new Set(parents)].map((parent) => `$B chmod a+rx "${parent}"`),
      `for part in bin usr/bin usr/libexec/bluetooth; do ln -s ${this.bluez}/$part/* /usr/local/bin/; done`,
      'echo "guest:x:1000:1000::/run/guest:/bin/sh" >>/etc/passwd',
      'echo "guest:x:1000:" >>/etc/group',
      '$B mkdir -p /run/guest /run/dbus /etc/dbus-1/system.d && $B chown 1000:1000 /run/guest',
      `$B cp ${this.bluez}/etc/dbus-1/system.d/bluetooth.conf /etc/dbus-1/system.d/`,
      'echo "bluetooth:x:999:" >>/etc/group',
      // Which adapters are switched on is the tests' affair.
      '$B mkdir -p /etc/bluetooth && $B printf "[Policy]\\nAutoEnable=false\\n" >/etc/bluetooth/main.conf',
      '[ -s /etc/machine-id ] || echo 00000000000000000000000000000001 >/etc/machine-id',
      // A controller that is one has a processor of its own.
      `nice -n -15 setsid /run/out/relay ${ports.join(' ')} >/dev/console 2>&1 </dev/null &`,
      `until [ -e /sys/class/bluetooth/hci${this.adapters.length - 1} ]; do $B usleep 50000; done`,
      '',
    ].join('\n');
  }

  /** The controller behind `hci<index>`, while it is plugged in. */
  controller(index: number): Controller {
    return this.#servers[index]!.controllers[0]!;
  }

  /** What its kernel wrote, and the ends of what the commands did: to be read when something failed. */
  get story(): string {
    const ends = Array.from({ length: this.#next }, (_, i) => {
      const path = join(this.#folder, `c${i + 1}`);
      return `$ ${read(`${path}.sh`).split('\n').slice(2).join('\n').trim()}\n${read(`${path}.log`).slice(-4000)}`;
    });
    return [this.#console, ...ends].join('\n');
  }

  #socket(index: number): string {
    return join(this.#folder, `adapter${index}.sock`);
  }

  /** Pulls `hci<index>` out; resolves when the kernel has it no more. */
  async unplug(index: number): Promise<void> {
    await this.#servers[index]!.close();
    await this.run(`while [ -e /sys/class/bluetooth/hci${index} ]; do sleep 0.1; done`);
  }

  /** The machine has it within about a second. */
  async plug(index: number): Promise<void> {
    const controller = { address: this.adapters[index]! };
    this.#servers[index] = await listenAir(this.air, { path: this.#socket(index), controller });
  }

  /** A file that everybody in the machine can read. @returns its path there */
  file(name: string, content: string): string {
    writeFileSync(join(this.#folder, name), content);
    return `/run/out/${name}`;
  }

  /** Starts `script` in its shell, as root. */
  start(script: string): Command {
    const id = `c${++this.#next}`;
    const input = `mkfifo /run/${id}.in; exec 0<>/run/${id}.in`;
    writeFileSync(join(this.#folder, `${id}.sh`), `echo $$ >/run/out/${id}.pid\n${input}\n${script}\n`);
    const ended = new Promise<number>((resolve) => this.#waiting.set(id, resolve));
    this.#agent!.write(`${id}\n`);
    return new Command(this, join(this.#folder, id), Promise.race([ended, this.#lost]));
  }

  /** Runs `script` to its end. @throws Error when it fails, with what it wrote */
  async run(script: string, limitMs: number = COMMAND_MS): Promise<string> {
    const command = this.start(script);
    const status = await this.#within(command.ended, limitMs, `not done within ${limitMs} ms: ${script}`, command);
    if (status !== 0) throw new Error(`"${script}" ended with ${status}:\n${command.output}`);
    return command.output;
  }

  /** `work` of this process; ends with the machine, if that ends first. */
  during<T>(work: Promise<T>): Promise<T> {
    return Promise.race([work, this.#lost]);
  }

  #within<T>(work: Promise<T>, limitMs: number, otherwise: string, command?: Command): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      const end = (): void => reject(new Error(`${otherwise}\n${command?.output ?? this.#console}`));
      timer = setTimeout(end, limitMs);
    });
    return Promise.race([work, late, this.#lost]).finally(() => clearTimeout(timer));
  }

  async close(): Promise<void> {
    const qemu = this.#qemu;
    if (qemu?.pid !== undefined && qemu.exitCode === null && qemu.signalCode === null) {
      const gone = once(qemu, 'exit');
      qemu.kill('SIGKILL');
      await gone;
    }
    this.#agent?.destroy();
    this.#listener.close();
    await Promise.all(this.#servers.map((server) => server.close()));
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** A command in the machine, running or ended. */
export class Command {
  /** Its exit status. */
  readonly ended: Promise<number>;
  readonly #machine: Machine;
  readonly #path: string;

  constructor(machine: Machine, path: string, ended: Promise<number>) {
    this.#machine = machine;
    this.#path = path;
    this.ended = ended;
    ended.catch(() => {});
  }

  /** Both streams so far. */
  get output(): string {
    return read(`${this.#path}.log`);
  }

  /** The first match in what it wrote, once it is there. @throws Error when it ends, or `limitMs` pass, without */
  async says(what: RegExp, limitMs: number = COMMAND_MS): Promise<string> {
    let stop: () => void = () => {};
    const found = new Promise<string>((resolve, reject) => {
      const look = (): boolean => {
        const match = what.exec(this.output);
        if (match) resolve(match[1] ?? match[0]);
        return match !== null;
      };
      const fail = (why: string): void => reject(new Error(`${why} without ${what}:\n${this.output}`));
      const timer = setTimeout(() => look() || fail(`${limitMs} ms passed`), limitMs);
      // The machine's writes to its shared folder are writes of a process here.
      const watcher = watch(dirname(this.#path), look);
      stop = () => {
        clearTimeout(timer);
        watcher.close();
      };
      this.ended.then(() => look() || fail('it ended'), reject);
      look();
    });
    try {
      return await found;
    } finally {
      stop();
    }
  }

  /** Calls `look` whenever it may have written something, until the machine is gone. */
  follow(look: () => void): void {
    const watcher = watch(dirname(this.#path), look);
    watcher.on('error', () => {});
    this.ended.then(
      () => watcher.close(),
      () => watcher.close(),
    );
    look();
  }

  /** A line for its standard input. */
  async type(line: string): Promise<void> {
    const pipe = `/run/${basename(this.#path)}.in`;
    await this.#machine.run(
      `until [ -p ${pipe} ]; do sleep 0.05; done; echo '${line.replaceAll("'", "'\\''")}' >${pipe}`,
    );
  }

  /** A signal to it and its children. */
  async kill(signal: 'INT' | 'TERM' | 'KILL'): Promise<void> {
    await this.#machine.run(`kill -${signal} -- -${read(`${this.#path}.pid`).trim()}`);
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
