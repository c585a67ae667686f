/** The control socket of a running node (0600): other commands work through it. See control-protocol.ts. */
import { chmodSync, existsSync, unlinkSync } from 'node:fs';
import { createConnection, createServer, type Socket } from 'node:net';
import type { Conversation } from '@rdv/protocol/conversation/api';
import { toHex } from '@rdv/protocol/core/bytes';
import { RdvError, toRdvError } from '@rdv/protocol/core/errors';
import type { Logger, Random } from '@rdv/protocol/core/ports';
import type {
  NamespaceNote,
  NodeApi,
  PublicationTarget,
  PublishRequest,
  RespondRequest,
  ResumeRequest,
  ScanRequest,
} from './api.js';
import { errorLine, historyToJson } from './control-protocol.js';
import { leaveConversation, serveConversation } from './conversation-lines.js';
import { type JsonLines, type JsonObject, jsonLines } from './json-lines.js';

const CONNECTIONS_MAX = 256;
/** A conversation nobody attaches to is given up. */
const ATTACH_WITHIN_MS = 10_000;

export interface ControlServer {
  /** Commands that work through this node at the moment. */
  commands(): number;
  /** Resolves when none does any more. */
  idle(): Promise<void>;
  close(): Promise<void>;
}

function tellNote(lines: JsonLines, note: NamespaceNote): void {
  void lines.write({ namespace: note }).catch(() => {});
}

/** Whether a node answers at `path`. */
export function nodeAnswers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    if (!existsSync(path)) return resolve(false);
    const probe = createConnection({ path });
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
}

/** @throws RdvError `busy` when another node serves this state directory */
export async function serveControl(
  path: string,
  api: NodeApi,
  ports: { readonly log: Logger; readonly random: Random },
): Promise<ControlServer> {
  if (await nodeAnswers(path)) {
    throw new RdvError('busy', `another node runs with this state directory (${path} answers): use it, or --state DIR`);
  }
  if (existsSync(path)) unlinkSync(path); // left by a node that was killed
  const waiting = new Map<string, Conversation>();
  const open = new Set<Socket>();
  const onIdle: (() => void)[] = [];

  const publish = async (request: PublishRequest, socket: Socket, lines: JsonLines): Promise<void> => {
    const gone = new AbortController();
    socket.once('close', () => gone.abort());
    const publication = await api.publish(request, gone.signal, (note) => tellNote(lines, note));
    await lines.write({ ok: publication.info });
    const commands = (async () => {
      for (;;) {
        // What cannot be read, or cannot be done, is that program's loss: it must not take the node along.
        const line = await lines.read().catch(() => undefined);
        if (line?.['unpublish'] !== true) break;
        const said = await publication.unpublish().then(() => ({ unpublished: true }), errorLine);
        await lines.write(said).catch(() => {});
      }
      await publication.close();
    })();
    commands.catch((error: unknown) => ports.log.warn('a publication did not close', { code: toRdvError(error).code }));
    for await (const conversation of publication.conversations) {
      const token = toHex(ports.random(16));
      waiting.set(token, conversation);
      const giveUp = setTimeout(() => {
        if (waiting.delete(token)) void leaveConversation(conversation);
      }, ATTACH_WITHIN_MS);
      void conversation.closed.then(() => clearTimeout(giveUp));
      await lines.write({ conversation: token });
    }
    await lines.write({ over: true }).catch(() => {});
    await commands;
  };

  const serve = async (socket: Socket, lines: JsonLines, request: JsonObject): Promise<void> => {
    switch (request['op']) {
      case 'publish': {
        const { hello, ...rest } = request['request'] as PublishRequest & { hello?: string };
        return publish(
          { ...rest, ...(hello ? { hello: new Uint8Array(Buffer.from(hello, 'base64')) } : {}) },
          socket,
          lines,
        );
      }
      case 'attach': {
        const token = String(request['conversation']);
        const conversation = waiting.get(token);
        waiting.delete(token);
        if (!conversation) throw new RdvError('closed', 'that conversation is gone');
        await serveConversation(socket, conversation, leaveConversation);
        return;
      }
      case 'respond': {
        const gone = new AbortController();
        const onClose = (): void => gone.abort();
        socket.once('close', onClose);
        const { hello, ...rest } = request['request'] as RespondRequest & { hello?: string };
        const conversation = await api.respond(
          { ...rest, ...(hello ? { hello: new Uint8Array(Buffer.from(hello, 'base64')) } : {}) },
          gone.signal,
          (note) => tellNote(lines, note),
        );
        socket.off('close', onClose);
        await lines.write({ ok: {} });
        await serveConversation(socket, conversation, leaveConversation);
        return;
      }
      case 'resume': {
        const conversation = await api.resume(request['request'] as ResumeRequest);
        await lines.write({ ok: {} });
        await serveConversation(socket, conversation, leaveConversation);
        return;
      }
      case 'conversations':
        return lines.write({ ok: await api.conversations() });
      case 'history': {
        const page = request['page'] as { after?: number; limit?: number };
        return lines.write({ ok: { ...historyToJson(await api.history(String(request['handle']), page)) } });
      }
      case 'forget':
        await api.forget(String(request['handle']));
        return lines.write({ ok: {} });
      case 'list':
        return lines.write({ ok: await api.list() });
      case 'status':
        return lines.write({ ok: await api.status() });
      case 'unpublish':
      case 'deactivate':
      case 'activate':
        await api[request['op']](request['target'] as PublicationTarget);
        return lines.write({ ok: {} });
      case 'renew':
        await api.renew(request['target'] as PublicationTarget, request['ttlSeconds'] as number | undefined);
        return lines.write({ ok: {} });
      case 'scan': {
        const gone = new AbortController();
        socket.once('close', () => gone.abort());
        await lines.write({ ok: {} });
        await api.scan(
          request['request'] as ScanRequest,
          (heard) => {
            // A reader that does not keep up misses sightings; it must not fill the node's memory.
            if (socket.writableLength < 1_000_000) void lines.write({ heard }).catch(() => {});
          },
          gone.signal,
        );
        return;
      }
      default:
        throw new RdvError(
          'unsupported',
          `the node does not know "${String(request['op'])}": are both the same version?`,
        );
    }
  };

  const server = createServer((socket) => {
    if (open.size >= CONNECTIONS_MAX) {
      socket.end(`${JSON.stringify(errorLine(new RdvError('busy', 'too many commands at once: try again')))}\n`);
      return;
    }
    open.add(socket);
    socket.once('close', () => {
      open.delete(socket);
      if (open.size === 0) for (const tell of onIdle.splice(0)) tell();
    });
    const lines = jsonLines(socket);
    void (async () => {
      try {
        const request = await lines.read();
        if (request) await serve(socket, lines, request);
      } catch (error) {
        await lines.write(errorLine(error)).catch(() => {});
      }
      lines.end();
    })();
  });
  const mask = process.umask(0o177);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
    chmodSync(path, 0o600);
  } catch (cause) {
    throw new RdvError('config', `cannot open the control socket ${path}: ${(cause as Error).message}`, { cause });
  } finally {
    process.umask(mask);
  }
  return {
    commands: () => open.size,
    idle: () =>
      new Promise((resolve) => {
        if (open.size === 0) resolve();
        else onIdle.push(resolve);
      }),
    async close() {
      for (const socket of open) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
