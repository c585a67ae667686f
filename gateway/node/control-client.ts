/** A running node through its control socket: the same NodeApi, spoken as JSON lines (control-protocol.ts). */
import { createConnection, type Socket } from 'node:net';
import type { Conversation } from '@rdv/protocol/conversation/api';
import { RdvError, throwIfAborted } from '@rdv/protocol/core/errors';
import type {
  BeaconHeard,
  NodeApi,
  NodeStatus,
  OpenPublication,
  PublicationInfo,
  PublishRequest,
  RespondRequest,
  ScanRequest,
} from './api.js';
import { answerOf } from './control-protocol.js';
import { RemoteConversation } from './conversation-lines.js';
import { type JsonLines, type JsonObject, jsonLines } from './json-lines.js';

const base64 = (bytes: Uint8Array | undefined): string | undefined => bytes && Buffer.from(bytes).toString('base64');

export class ControlClient implements NodeApi {
  readonly #path: string;
  readonly #open = new Set<Socket>();

  constructor(path: string) {
    this.#path = path;
  }

  async #connect(request: JsonObject, signal?: AbortSignal): Promise<JsonLines> {
    throwIfAborted(signal);
    const socket = createConnection({ path: this.#path });
    this.#open.add(socket);
    socket.once('close', () => this.#open.delete(socket));
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', (cause) =>
        reject(new RdvError('unreachable', `no node answers at ${this.#path}: start one with "rdv run"`, { cause })),
      );
    });
    signal?.addEventListener('abort', () => socket.destroy(), { once: true });
    const lines = jsonLines(socket);
    await lines.write(request);
    return lines;
  }

  async #ask(request: JsonObject): Promise<unknown> {
    const lines = await this.#connect(request);
    try {
      return answerOf(await lines.read());
    } finally {
      lines.close();
    }
  }

  async publish(request: PublishRequest, signal?: AbortSignal): Promise<OpenPublication> {
    const lines = await this.#connect({ op: 'publish', request: { ...request, hello: base64(request.hello) } }, signal);
    const info = answerOf(await lines.read()) as PublicationInfo;
    let unpublished: () => void = () => {};
    const attach = (token: string): Promise<Conversation> =>
      this.#connect({ op: 'attach', conversation: token }).then((own) => RemoteConversation.open(own));
    async function* conversations(): AsyncGenerator<Conversation> {
      for (;;) {
        const line = await lines.read();
        if (typeof line?.['conversation'] === 'string') yield await attach(line['conversation']);
        else if (line?.['unpublished'] === true) unpublished();
        else {
          unpublished();
          return;
        }
      }
    }
    return {
      info,
      conversations: conversations(),
      async unpublish() {
        const done = new Promise<void>((resolve) => {
          unpublished = resolve;
        });
        await lines.write({ unpublish: true });
        await done;
      },
      async close() {
        lines.close();
      },
    };
  }

  async respond(request: RespondRequest, signal?: AbortSignal): Promise<Conversation> {
    const lines = await this.#connect({ op: 'respond', request: { ...request, hello: base64(request.hello) } }, signal);
    answerOf(await lines.read());
    return RemoteConversation.open(lines);
  }

  async list(): Promise<readonly PublicationInfo[]> {
    return (await this.#ask({ op: 'list' })) as readonly PublicationInfo[];
  }

  async status(): Promise<NodeStatus> {
    return (await this.#ask({ op: 'status' })) as NodeStatus;
  }

  async unpublish(target: Parameters<NodeApi['unpublish']>[0]): Promise<void> {
    await this.#ask({ op: 'unpublish', target });
  }

  async scan(request: ScanRequest, onHeard: (heard: BeaconHeard) => void, signal: AbortSignal): Promise<void> {
    const lines = await this.#connect({ op: 'scan', request }, signal);
    answerOf(await lines.read());
    for (;;) {
      const line = await lines.read();
      if (!line) return;
      if (line['heard']) onHeard(line['heard'] as BeaconHeard);
      else answerOf(line);
    }
  }

  async close(): Promise<void> {
    for (const socket of this.#open) socket.destroy();
  }
}
