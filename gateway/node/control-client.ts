/** A running node through its control socket: the same NodeApi, spoken as JSON lines (control-protocol.ts). */
import { createConnection, type Socket } from 'node:net';
import type { Conversation } from '@rdv/protocol/conversation/api';
import type { HistoryPage } from '@rdv/protocol/conversation/durability';
import { RdvError, throwIfAborted } from '@rdv/protocol/core/errors';
import type {
  BeaconHeard,
  ConversationInfo,
  NamespaceNote,
  NodeApi,
  NodeStatus,
  OnNamespace,
  OpenPublication,
  PublicationInfo,
  PublicationTarget,
  PublishRequest,
  RespondRequest,
  ResumeRequest,
  ScanRequest,
} from './api.js';
import { answerOf, fromBase64, type HistoryPageJson } from './control-protocol.js';
import { RemoteConversation } from './conversation-lines.js';
import { type JsonLines, type JsonObject, jsonLines } from './json-lines.js';
import { remotePublication } from './remote-publication.js';

const withHello = (request: PublishRequest | RespondRequest): JsonObject => ({
  ...request,
  hello: request.hello && Buffer.from(request.hello).toString('base64'),
});

export class ControlClient implements NodeApi {
  readonly #path: string;
  readonly #open = new Set<Socket>();

  constructor(path: string) {
    this.#path = path;
  }

  async #connect(request: JsonObject, signal: AbortSignal | undefined): Promise<JsonLines> {
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
    const lines = await this.#connect(request, undefined);
    try {
      return answerOf(await lines.read());
    } finally {
      lines.close();
    }
  }

  async publish(
    request: PublishRequest,
    signal?: AbortSignal,
    onNamespace: OnNamespace = () => {},
  ): Promise<OpenPublication> {
    const { lines, answer } = await this.#request({ op: 'publish', request: withHello(request) }, signal, onNamespace);
    const info = answer as PublicationInfo;
    return remotePublication(info, lines, onNamespace, async (token) =>
      RemoteConversation.open(await this.#connect({ op: 'attach', conversation: token }, undefined)),
    );
  }

  async respond(
    request: RespondRequest,
    signal?: AbortSignal,
    onNamespace: OnNamespace = () => {},
  ): Promise<Conversation> {
    const { lines } = await this.#request({ op: 'respond', request: withHello(request) }, signal, onNamespace);
    return RemoteConversation.open(lines);
  }

  /** Asks, passes on the notes that come before the answer; `signal` counts until then. */
  async #request(
    request: JsonObject,
    signal: AbortSignal | undefined,
    onNamespace: OnNamespace,
  ): Promise<{ readonly lines: JsonLines; readonly answer: unknown }> {
    const lines = await this.#connect(request, undefined);
    const giveUp = (): void => lines.close();
    if (signal?.aborted) giveUp();
    signal?.addEventListener('abort', giveUp, { once: true });
    try {
      for (;;) {
        const line = await lines.read();
        throwIfAborted(signal);
        if (line?.['namespace'] === undefined) return { lines, answer: answerOf(line) };
        onNamespace(line['namespace'] as NamespaceNote);
      }
    } finally {
      signal?.removeEventListener('abort', giveUp);
    }
  }

  async list(): Promise<readonly PublicationInfo[]> {
    return (await this.#ask({ op: 'list' })) as readonly PublicationInfo[];
  }

  async status(): Promise<NodeStatus> {
    return (await this.#ask({ op: 'status' })) as NodeStatus;
  }

  async conversations(): Promise<readonly ConversationInfo[]> {
    return (await this.#ask({ op: 'conversations' })) as readonly ConversationInfo[];
  }

  async resume(request: ResumeRequest): Promise<Conversation> {
    const { lines } = await this.#request({ op: 'resume', request: { ...request } }, undefined, () => {});
    return RemoteConversation.open(lines);
  }

  async history(handle: string, page: { readonly after?: number; readonly limit?: number }): Promise<HistoryPage> {
    const { entries, ...marks } = (await this.#ask({ op: 'history', handle, page: { ...page } })) as HistoryPageJson;
    return { ...marks, entries: entries.map((entry) => ({ ...entry, message: fromBase64(entry.message) })) };
  }

  async forget(handle: string): Promise<void> {
    await this.#ask({ op: 'forget', handle });
  }

  async unpublish(target: PublicationTarget): Promise<void> {
    await this.#ask({ op: 'unpublish', target });
  }

  async deactivate(target: PublicationTarget): Promise<void> {
    await this.#ask({ op: 'deactivate', target });
  }

  async activate(target: PublicationTarget): Promise<void> {
    await this.#ask({ op: 'activate', target });
  }

  async renew(target: PublicationTarget, ttlSeconds: number | undefined): Promise<void> {
    await this.#ask({ op: 'renew', target, ttlSeconds });
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
