/** A real mosquitto with every way in that RDV speaks, and its own clients as independent witnesses. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MqttTarget } from '@rdv/gateway/namespaces/mqtt-target';
import { freePort, ServerProcess } from '../../support/server-process.js';

export const MOSQUITTO = '/usr/sbin/mosquitto';
export const USER = 'kiosk';
export const PASSWORD = 'correct horse battery';

/** CA, server and client certificates, by openssl. */
function makeCertificates(folder: string): void {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl('req', '-x509', ...curve, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=test CA');
  writeFileSync(join(folder, 'san'), 'subjectAltName=DNS:localhost,IP:127.0.0.1');
  for (const [name, subject] of [
    ['server', '/CN=localhost'],
    ['client', '/CN=kiosk'],
  ] as const) {
    openssl('req', ...curve, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', subject);
    const sign = ['x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial'];
    openssl(...sign, '-out', `${name}.pem`, '-days', '2', '-extfile', 'san');
  }
}

export class Mosquitto {
  readonly folder: string;
  readonly ports: { readonly plain: number; readonly tls: number; readonly password: number; readonly ws: number };
  #server: ServerProcess | undefined;
  readonly #witnesses: ChildProcess[] = [];

  private constructor(folder: string, ports: Mosquitto['ports']) {
    this.folder = folder;
    this.ports = ports;
  }

  static async open(): Promise<Mosquitto> {
    const folder = mkdtempSync(join(tmpdir(), 'rdv-mosquitto-'));
    const [plain, tls, password, ws] = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
    makeCertificates(folder);
    execFileSync('mosquitto_passwd', ['-b', '-c', join(folder, 'passwords'), USER, PASSWORD], { stdio: 'pipe' });
    const broker = new Mosquitto(folder, { plain, tls, password, ws });
    broker.#configure();
    await broker.start();
    return broker;
  }

  #configure(): void {
    const { plain, tls, password, ws } = this.ports;
    const file = (name: string) => join(this.folder, name);
    const lines = [
      'per_listener_settings true',
      'set_tcp_nodelay true',
      // Started by root it would leave the folder's owner behind.
      ...(process.getuid?.() === 0 ? ['user root'] : []),
      `pid_file ${file('pid')}`,
      'log_type error',
      'log_type warning',
      'log_dest stderr',
      `listener ${plain} 127.0.0.1`,
      'allow_anonymous true',
      `listener ${tls} 127.0.0.1`,
      'allow_anonymous true',
      `cafile ${file('ca.pem')}`,
      `certfile ${file('server.pem')}`,
      `keyfile ${file('server.key')}`,
      'require_certificate true',
      `listener ${password} 127.0.0.1`,
      'allow_anonymous false',
      `password_file ${file('passwords')}`,
      `listener ${ws} 127.0.0.1`,
      'protocol websockets',
      'allow_anonymous true',
    ];
    writeFileSync(file('mosquitto.conf'), `${lines.join('\n')}\n`);
  }

  async start(): Promise<void> {
    const config = join(this.folder, 'mosquitto.conf');
    this.#server = await ServerProcess.start(MOSQUITTO, ['-c', config], this.ports.plain);
  }

  /** SIGKILL: nothing is said to anybody. */
  async kill(): Promise<void> {
    await this.#server?.kill();
  }

  async close(): Promise<void> {
    for (const child of this.#witnesses) child.kill();
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  read(name: string): string {
    return readFileSync(join(this.folder, name), 'utf8');
  }

  /** Every way in. Debian builds mosquitto with WebSocket; one that is not would refuse its configuration. */
  targets(): Readonly<Record<string, MqttTarget>> {
    const { plain, tls, password, ws } = this.ports;
    const host = '127.0.0.1';
    return {
      'MQTT 5': { protocol: 'mqtt', host, port: plain, version: 5 },
      'MQTT 3.1.1': { protocol: 'mqtt', host, port: plain, version: 4 },
      'TLS with a client certificate': {
        protocol: 'mqtts',
        host: 'localhost',
        port: tls,
        ca: this.read('ca.pem'),
        cert: this.read('client.pem'),
        key: this.read('client.key'),
      },
      'user and password': { protocol: 'mqtt', host, port: password, username: USER, password: PASSWORD },
      WebSocket: { protocol: 'ws', host, port: ws, path: '/mqtt' },
    };
  }

  /** mosquitto_pub: whoever else is on the broker. An empty message clears a retained one. */
  publish(topic: string, message: Uint8Array | string, retain: boolean): void {
    const payload = message.length > 0 ? ['-s'] : ['-n'];
    const args = ['-p', String(this.ports.plain), '-q', '1', '-t', topic, ...payload, ...(retain ? ['-r'] : [])];
    execFileSync('mosquitto_pub', args, message.length > 0 ? { input: message } : {});
  }

  /** mosquitto_sub: what is retained on `topic`, as [topic, retain flag, QoS, payload in hex], or nothing in `seconds`. */
  retained(topic: string, seconds = 1): string[][] {
    const args = ['-p', String(this.ports.plain), '-V', '5', '-q', '1', '-t', topic, '-F', '%t %r %q %x'];
    const once = ['-W', String(seconds), '-C', '1', '--retained-only'];
    try {
      return lines(execFileSync('mosquitto_sub', [...args, ...once], { encoding: 'utf8', stdio: 'pipe' }));
    } catch (error) {
      // It ends with 27 when the waiting time is over.
      const { status, stdout } = error as { status: number; stdout: string };
      if (status !== 27) throw error;
      return lines(stdout);
    }
  }

  /** mosquitto_sub, running: what passes under `filter`, in the same form. */
  listen(filter: string): { readonly seen: string[][]; stop(): void } {
    const args = ['-p', String(this.ports.plain), '-V', '5', '-q', '1', '-t', filter, '-F', '%t %r %q %x'];
    const child = spawn('mosquitto_sub', args, { stdio: ['ignore', 'pipe', 'ignore'] });
    this.#witnesses.push(child);
    const seen: string[][] = [];
    let rest = '';
    child.stdout.on('data', (chunk) => {
      rest += String(chunk);
      const end = rest.lastIndexOf('\n') + 1;
      seen.push(...lines(rest.slice(0, end)));
      rest = rest.slice(end);
    });
    return { seen, stop: () => child.kill() };
  }
}

function lines(text: string): string[][] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split(' '));
}
