import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NodeApi, OpenPublication, PublicationInfo } from '@rdv/gateway/node/api';
import { ControlClient } from '@rdv/gateway/node/control-client';
import { type ControlServer, nodeAnswers, serveControl } from '@rdv/gateway/node/control-server';
import { systemRandom } from '@rdv/hardware/host/system';
import type { CloseReason, Conversation } from '@rdv/protocol/conversation/api';
import { RdvError, RefusedError } from '@rdv/protocol/core/errors';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import { IdentityError } from '@rdv/protocol/identity/api';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

/** A conversation that answers every message with itself. */
function echo(): Conversation {
  let challenges = 0;
  const queue: (Uint8Array | undefined)[] = [];
  let wake = (): void => {};
  let finish: (reason: CloseReason) => void = () => {};
  const closed = new Promise<CloseReason>((resolve) => {
    finish = resolve;
  });
  const push = (message: Uint8Array | undefined): void => {
    queue.push(message);
    wake();
  };
  return {
    role: 'responder',
    channelBinding: new Uint8Array(32).fill(7),
    sas: { digits: '1 2', emoji: 'x' },
    hello: Uint8Array.of(1, 2),
    trust: { level: 'key', expected: true, kind: 'p256', fingerprint: new Uint8Array(32).fill(5) },
    challenge: async () => {
      if (++challenges > 1) throw new IdentityError('wrong-key', 'another key');
      return { level: 'certificate', expected: true, name: 'shop', fingerprint: new Uint8Array(32).fill(6) };
    },
    state: 'open',
    onState: () => () => {},
    send: async (message) => push(message),
    async *[Symbol.asyncIterator]() {
      for (;;) {
        if (queue.length === 0) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
        const message = queue.shift();
        if (!message) break;
        yield message;
      }
      finish('finished');
    },
    end: async () => push(undefined),
    close: async () => {
      push(undefined);
      finish('aborted');
    },
    [Symbol.asyncDispose]: async () => {},
    closed,
  };
}

const info: PublicationInfo = {
  handle: '00112233445566aa',
  title: 'desk',
  lifecycle: { kind: 'single' },
  state: 'active',
  accepted: 0,
  expiresAt: undefined,
  namespaces: ['memory:'],
};

describe('control socket', () => {
  let directory = '';
  let path = '';
  let server: ControlServer;
  let client: ControlClient;
  const unpublished: unknown[] = [];
  const changed: unknown[] = [];
  const api: NodeApi = {
    async publish() {
      let over = (): void => {};
      const done = new Promise<void>((resolve) => {
        over = resolve;
      });
      const publication: OpenPublication = {
        info,
        conversations: (async function* () {
          yield echo();
          await done;
        })(),
        unpublish: async () => over(),
        close: async () => over(),
      };
      return publication;
    },
    async respond(request) {
      if (request.noWait) throw new RefusedError('consumed', 'used up');
      return echo();
    },
    list: async () => [info],
    unpublish: async (target) => void unpublished.push(target),
    conversations: async () => [],
    resume: async ({ handle }) => {
      if (handle === 'gone') throw new RdvError('not-published', 'no such conversation');
      return echo();
    },
    history: async (_handle, { after = 0 }) => ({
      newest: 2,
      oldest: 1,
      entries: [{ index: after + 1, direction: 'sent', sequence: 1, at: 5, message: Uint8Array.of(1, 2, 255) }],
    }),
    forget: async (handle) => void changed.push(['forget', handle]),
    deactivate: async (target) => void changed.push(['deactivate', target]),
    activate: async (target) => void changed.push(['activate', target]),
    renew: async (target, ttlSeconds) => void changed.push(['renew', target, ttlSeconds]),
    scan: async (_request, onHeard, signal) => {
      onHeard({
        eid: '0011223344556677',
        format: 'native',
        rssi: -50,
        connectable: true,
        wantsBridging: false,
        hasMail: false,
        tag: 0,
      });
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    },
    status: async () => ({
      version: '1',
      uptimeMs: 1,
      roles: [],
      namespaces: [],
      adapters: [],
      nodeKey: undefined,
      bridge: undefined,
      onAir: undefined,
      joins: [],
      boards: [],
      health: { status: 'ok', problems: [] },
      reportsAs: undefined,
    }),
    close: async () => {},
  };

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'rdv-control-'));
    path = join(directory, 'control.sock');
    server = await serveControl(path, api, { log: silentLogger, random: systemRandom });
    client = new ControlClient(path);
  });
  afterEach(async () => {
    await client.close();
    await server.close();
    rmSync(directory, { recursive: true });
  });

  it('hands on durable conversations, their history byte for byte, and forgets them', async () => {
    expect(await client.conversations()).toEqual([]);
    expect(await client.history('a', { after: 1 })).toEqual({
      newest: 2,
      oldest: 1,
      entries: [{ index: 2, direction: 'sent', sequence: 1, at: 5, message: Uint8Array.of(1, 2, 255) }],
    });
    await client.forget('a');
    expect(changed.splice(0)).toEqual([['forget', 'a']]);
    await expect(client.resume({ handle: 'gone' })).rejects.toMatchObject({ code: 'not-published' });
    const conversation = await client.resume({ handle: 'a' });
    await conversation.close();
  });

  it('changes a publication', async () => {
    const [handle, tag] = [{ handle: 'a' }, { tag: 'b', realm: '' }];
    await client.deactivate(handle);
    await client.activate(tag);
    await client.renew(handle, 60);
    await client.renew(tag, undefined);
    expect(changed).toEqual([
      ['deactivate', handle],
      ['activate', tag],
      ['renew', handle, 60],
      ['renew', tag, undefined],
    ]);
  });

  it('is for its owner alone, and there is one', async () => {
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(await nodeAnswers(path)).toBe(true);
    await expect(serveControl(path, api, { log: silentLogger, random: systemRandom })).rejects.toMatchObject({
      code: 'busy',
    });
  });

  it('takes the place of a socket that a killed node left', async () => {
    const stale = join(directory, 'stale.sock');
    writeFileSync(stale, '');
    const second = await serveControl(stale, api, { log: silentLogger, random: systemRandom });
    expect(await new ControlClient(stale).list()).toEqual([info]);
    await second.close();
  });

  it('tells who the other end is, and asks it', async () => {
    const conversation = await client.respond({ tag: 't', realm: '', timeoutMs: 1000, noWait: false });
    const fingerprint = new Uint8Array(32).fill(5);
    expect(conversation.trust).toEqual({ level: 'key', expected: true, kind: 'p256', fingerprint });
    const proved = { level: 'certificate', expected: true, name: 'shop', fingerprint: fingerprint.map(() => 6) };
    expect(await conversation.challenge()).toEqual(proved);
    expect(conversation.trust).toEqual(proved);
    await expect(conversation.challenge()).rejects.toMatchObject({
      code: 'authentication-failed',
      reason: 'wrong-key',
      message: 'another key',
    });
    expect(conversation.trust).toEqual(proved);
    await expect(conversation.challenge({ policy: {} })).rejects.toMatchObject({ code: 'unsupported' });
    await conversation.close();
    await expect(conversation.challenge()).rejects.toMatchObject({ code: 'closed' });
  });

  it('carries a conversation byte for byte, its end included', async () => {
    const conversation = await client.respond({ tag: 't', realm: '', timeoutMs: 1000, noWait: false });
    expect(conversation.channelBinding).toEqual(new Uint8Array(32).fill(7));
    expect(conversation.hello).toEqual(Uint8Array.of(1, 2));
    const sent = [Uint8Array.of(), Uint8Array.of(0, 255, 10, 13), new Uint8Array(300_000).fill(9)];
    for (const message of sent) await conversation.send(message);
    await conversation.end();
    const heard: Uint8Array[] = [];
    for await (const message of conversation) heard.push(message);
    expect(heard).toEqual(sent);
    expect(await conversation.closed).toBe('finished');
  });

  it('hands over conversations of a publication, and un-publishes', async () => {
    const publication = await client.publish({ tag: 't', realm: '', lifecycle: { kind: 'single' } });
    expect(publication.info).toEqual(info);
    let count = 0;
    for await (const conversation of publication.conversations) {
      count++;
      await conversation.send(Uint8Array.of(5));
      for await (const message of conversation) {
        expect(message).toEqual(Uint8Array.of(5));
        await conversation.end();
      }
      void publication.unpublish();
    }
    expect(count).toBe(1);
  });

  it('passes errors on with code and reason', async () => {
    await expect(client.respond({ tag: 't', realm: '', timeoutMs: 1, noWait: true })).rejects.toMatchObject({
      code: 'refused',
      reason: 'consumed',
      message: 'used up',
    });
  });

  it('scans until told to stop', async () => {
    const stop = new AbortController();
    const heard: string[] = [];
    await client.scan(
      { tags: [] },
      ({ eid }) => {
        heard.push(eid);
        stop.abort();
      },
      stop.signal,
    );
    expect(heard).toEqual(['0011223344556677']);
  });

  it.each([
    'not json\n',
    '[]\n',
    '{"op":"format-disk"}\n',
    '{"op":"attach","conversation":"00"}\n',
    '{}\n',
  ])('answers %j with an error and stays up', async (line) => {
    const socket = createConnection({ path });
    socket.write(line);
    let answer = '';
    for await (const chunk of socket) answer += String(chunk);
    expect(JSON.parse(answer)).toHaveProperty('error.code');
    expect(await client.list()).toEqual([info]);
  });

  it('says what to do when no node runs', async () => {
    await expect(new ControlClient(join(directory, 'none.sock')).list()).rejects.toThrow('rdv run');
  });

  it('outlives a program that publishes and then says what is no JSON', async () => {
    const socket = createConnection({ path });
    socket.write('{"op":"publish","request":{}}\n{"op":\n');
    const heard: string[] = [];
    socket.on('data', (chunk) => heard.push(String(chunk)));
    await new Promise((resolve) => socket.once('close', resolve));
    expect(heard.join('')).toContain('"ok"');
    expect(await nodeAnswers(path)).toBe(true);
  });
});
