/** Hosts on Ethernet segments, made of network namespaces, veth pairs and bridges. Needs root. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

function ip(...args: string[]): void {
  const done = spawnSync('ip', args, { encoding: 'utf8' });
  if (done.status !== 0) throw new Error(`ip ${args.join(' ')}: ${done.stderr || done.error?.message}`);
}

export interface RelayOptions {
  readonly seed: number;
  /** Probabilities. */
  readonly loss: number;
  readonly duplicate: number;
  /** Each frame takes up to so long, so that frames overtake each other. */
  readonly maxDelayMs: number;
}

/** What `host.mjs` says. */
export type HostEvent = { readonly event: string } & Readonly<Record<string, unknown>>;

/** A process on a host. */
export class HostProcess {
  readonly events: HostEvent[] = [];
  readonly #child: ChildProcess;
  readonly #waiting = new Set<() => void>();
  #errors = '';
  #over = false;

  constructor(child: ChildProcess, config: object) {
    this.#child = child;
    createInterface({ input: child.stdout! }).on('line', (line) => {
      this.events.push(JSON.parse(line));
      for (const wake of [...this.#waiting]) wake();
    });
    child.stderr!.on('data', (chunk) => {
      this.#errors += chunk;
    });
    child.on('exit', () => {
      this.#over = true;
      for (const wake of [...this.#waiting]) wake();
    });
    child.stdin!.write(`${JSON.stringify(config)}\n`);
  }

  /** The first event of that name. @throws Error with what the process said instead */
  async event(name: string, timeoutMs = 50_000): Promise<HostEvent> {
    const until = performance.now() + timeoutMs;
    for (;;) {
      const found = this.events.find(({ event }) => event === name);
      if (found) return found;
      const left = until - performance.now();
      if (this.#over || left <= 0)
        throw new Error(
          `no "${name}": ${this.#over ? 'it ended' : 'too late'}; ${JSON.stringify(this.events)} ${this.#errors}`,
        );
      await new Promise<void>((resolve) => {
        const timer = setTimeout(wake, left);
        function wake(this: unknown): void {
          clearTimeout(timer);
          resolve();
        }
        this.#waiting.add(wake);
      });
    }
  }

  say(what: object): void {
    this.#child.stdin!.write(`${JSON.stringify(what)}\n`);
  }

  async stop(): Promise<void> {
    if (this.#over) return;
    this.#child.stdin!.end();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 5000);
    await once(this.#child, 'exit');
    clearTimeout(timer);
  }
}

export class Net {
  readonly #prefix = `rdv${process.pid}`;
  readonly #namespaces = new Set<string>();
  readonly #processes: HostProcess[] = [];
  readonly #programs: ChildProcess[] = [];
  readonly #relays: { readonly child: ChildProcess; readonly counts: Promise<Record<string, number>> }[] = [];
  #veths = 0;

  constructor() {
    this.#namespace('switch');
  }

  #name(host: string): string {
    return `${this.#prefix}-${host}`;
  }

  #namespace(host: string): void {
    const name = this.#name(host);
    ip('netns', 'add', name);
    this.#namespaces.add(name);
    // Addresses are unique by construction: nobody waits until that is found out.
    this.run(host, 'sh', '-c', 'for f in all default; do echo 0 > /proc/sys/net/ipv6/conf/$f/accept_dad; done');
    ip('-n', name, 'link', 'set', 'lo', 'up');
  }

  /** A command on a host. */
  run(host: string, ...command: string[]): string {
    const done = spawnSync('ip', ['netns', 'exec', this.#name(host), ...command], { encoding: 'utf8' });
    if (done.status !== 0) throw new Error(`${command.join(' ')}: ${done.stderr}`);
    return done.stdout;
  }

  ip(host: string, ...args: string[]): void {
    ip('-n', this.#name(host), ...args);
  }

  /** An Ethernet segment. */
  segment(name: string): void {
    this.ip('switch', 'link', 'add', name, 'type', 'bridge', 'forward_delay', '0', 'stp_state', '0');
    // Snooping without a querier would drop multicast that it has not seen asked for.
    this.ip('switch', 'link', 'set', name, 'type', 'bridge', 'mcast_snooping', '0');
    this.ip('switch', 'link', 'set', name, 'up');
  }

  /** Puts a host on a segment; `address` is IPv4 with its prefix length, or undefined: IPv6 alone. */
  plug(host: string, segment: string, interfaceName: string, address?: string): void {
    if (!this.#namespaces.has(this.#name(host))) this.#namespace(host);
    const far = this.#far(segment);
    ip(
      '-n',
      this.#name('switch'),
      'link',
      'add',
      far,
      'type',
      'veth',
      'peer',
      'name',
      interfaceName,
      'netns',
      this.#name(host),
    );
    this.ip('switch', 'link', 'set', far, 'master', segment, 'up');
    // What a relay reads has to have its checksum.
    this.run(host, 'ethtool', '-K', interfaceName, 'tx', 'off');
    if (address !== undefined) this.ip(host, 'address', 'add', address, 'brd', '+', 'dev', interfaceName);
    this.ip(host, 'link', 'set', interfaceName, 'up');
  }

  #far(segment: string): string {
    return `${segment}p${++this.#veths}`;
  }

  /** Joins two segments by a network of that quality. */
  async relay(one: string, two: string, { seed, loss, duplicate, maxDelayMs }: RelayOptions): Promise<void> {
    const ends = [one, two].map((segment) => {
      const [far, near] = [this.#far(segment), `r${this.#veths}`];
      this.ip('switch', 'link', 'add', far, 'type', 'veth', 'peer', 'name', near);
      this.ip('switch', 'link', 'set', far, 'master', segment, 'up');
      this.ip('switch', 'link', 'set', near, 'up');
      return near;
    });
    const args = [...ends, seed, loss, duplicate, maxDelayMs].map(String);
    const command = ['netns', 'exec', this.#name('switch'), '/usr/bin/python3', file('relay.py'), ...args];
    const child = spawn('ip', command, { stdio: ['ignore', 'pipe', 'inherit'] });
    const lines = createInterface({ input: child.stdout! });
    const all: string[] = [];
    lines.on('line', (line) => all.push(line));
    const counts = once(child, 'exit').then(() => JSON.parse(all.at(-1)!) as Record<string, number>);
    this.#relays.push({ child, counts });
    await once(lines, 'line');
  }

  /** Runs `host.mjs` on a host. */
  start(host: string, config: object): HostProcess {
    const args = ['netns', 'exec', this.#name(host), process.execPath, file('host.mjs')];
    const made = new HostProcess(spawn('ip', args, { stdio: ['pipe', 'pipe', 'pipe'] }), config);
    this.#processes.push(made);
    return made;
  }

  /** Any other program on a host, until the end. */
  program(host: string, command: string, ...args: string[]): ChildProcess {
    const child = spawn('ip', ['netns', 'exec', this.#name(host), command, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#programs.push(child);
    return child;
  }

  /** @returns what the relays did */
  async close(): Promise<readonly Record<string, number>[]> {
    await Promise.all(this.#processes.map((one) => one.stop()));
    for (const child of this.#programs) {
      if (child.exitCode !== null) continue;
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
    for (const { child } of this.#relays) child.kill('SIGTERM');
    const counts = await Promise.all(this.#relays.map((relay) => relay.counts));
    for (const name of this.#namespaces) ip('netns', 'del', name);
    return counts;
  }
}
