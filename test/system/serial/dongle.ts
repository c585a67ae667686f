/** A controller of the virtual air on a serial port: a pty is the port, socat the cable, which can be pulled. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, existsSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Air } from '@rdv/hardware/air/air';
import type { Controller } from '@rdv/hardware/air/controller';
import { type AirServer, listenAir } from '@rdv/hardware/air/server';
import { until } from '../../support/mqtt-rig.js';

export class Dongle {
  /** Its name for a node. */
  readonly adapter: string;
  readonly path: string;
  readonly #socket: string;
  readonly #server: AirServer;
  #cable: ChildProcess | undefined;
  #held = -1;

  private constructor(path: string, socket: string, server: AirServer) {
    this.path = path;
    this.adapter = `serial:${path}`;
    this.#socket = socket;
    this.#server = server;
  }

  static async plug(air: Air, folder: string, name: string, address: string): Promise<Dongle> {
    const socket = join(folder, `${name}.sock`);
    const server = await listenAir(air, { path: socket, controller: { address } });
    const dongle = new Dongle(join(folder, name), socket, server);
    await dongle.plug();
    return dongle;
  }

  get controller(): Controller {
    return this.#server.controllers[0]!;
  }

  async plug(): Promise<void> {
    const ends = [`pty,raw,echo=0,link=${this.path}`, `unix-connect:${this.#socket}`];
    this.#cable = spawn('socat', ends, { stdio: 'ignore' });
    await until(() => existsSync(this.path));
    // A port that nobody has open hangs up, as no real one does.
    this.#held = openSync(this.path, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK);
  }

  async unplug(): Promise<void> {
    closeSync(this.#held);
    const gone = once(this.#cable!, 'exit');
    this.#cable!.kill('SIGKILL');
    await gone;
    rmSync(this.path, { force: true });
  }

  async close(): Promise<void> {
    if (existsSync(this.path)) await this.unplug();
    await this.#server.close();
  }
}
