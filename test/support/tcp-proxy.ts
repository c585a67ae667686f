/** A TCP relay between a client and a server under test: delays, cuts, and refuses, when told to. */
import { connect, createServer, type Server, type Socket } from 'node:net';

export class TcpProxy {
  readonly port: number;
  /** Milliseconds that every chunk takes, each way. */
  readonly delayMs: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #refusing = false;

  private constructor(server: Server, port: number, delayMs: number) {
    this.#server = server;
    this.port = port;
    this.delayMs = delayMs;
  }

  /** Relays to `target` on loopback. */
  static async open(target: number, delayMs = 0): Promise<TcpProxy> {
    const server = createServer({ noDelay: true });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (typeof address !== 'object' || !address) throw new Error('no address');
    const proxy = new TcpProxy(server, address.port, delayMs);
    server.on('connection', (client) => proxy.#relay(client, target));
    return proxy;
  }

  #relay(client: Socket, target: number): void {
    if (this.#refusing) {
      client.destroy();
      return;
    }
    const far = connect({ port: target, host: '127.0.0.1', noDelay: true });
    for (const [from, to] of [
      [client, far],
      [far, client],
    ] as const) {
      this.#sockets.add(from);
      from.on('error', () => {});
      from.on('data', (chunk) => this.#later(() => to.write(chunk)));
      from.on('end', () => this.#later(() => to.end()));
      from.on('close', () => {
        this.#sockets.delete(from);
        this.#later(() => to.destroy());
      });
    }
  }

  #later(run: () => void): void {
    if (this.delayMs === 0) run();
    else setTimeout(run, this.delayMs);
  }

  /** Cuts every connection, and hangs up on new ones. */
  break(): void {
    this.#refusing = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Lets connections through again. */
  mend(): void {
    this.#refusing = false;
  }

  async close(): Promise<void> {
    this.break();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
