import { execHandler } from '@rdv/gateway/node/handlers/exec';
import type { Handler } from '@rdv/gateway/node/handlers/handler';
import { SERVED_AT_ONCE, serveAll } from '@rdv/gateway/node/handlers/serve-all';
import type { Conversation, ConversationState } from '@rdv/protocol/conversation/api';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import { describe, expect, it } from 'vitest';

const quiet = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

class FakeConversation {
  state: ConversationState = 'opening';
  closes = 0;
  #listener: ((state: ConversationState) => void) | undefined;
  onState(listener: (state: ConversationState) => void): () => void {
    this.#listener = listener;
    return () => {
      this.#listener = undefined;
    };
  }
  become(state: ConversationState): void {
    this.state = state;
    this.#listener?.(state);
  }
  async close(): Promise<void> {
    this.closes++;
  }
}

async function* from(list: FakeConversation[], onTaken: () => void = () => {}): AsyncGenerator<Conversation> {
  for (const one of list) {
    onTaken();
    yield one as unknown as Conversation;
  }
}

describe('conversations handed to a handler', () => {
  it('wait for the first frame of their responder', async () => {
    const served: unknown[] = [];
    const handler: Handler = { kind: 'exec', serve: async (one) => `${served.push(one)}` };
    const [one, two] = [new FakeConversation(), new FakeConversation()];
    await serveAll(from([one, two]), handler, silentLogger, 'h');
    await quiet();
    expect(served).toEqual([]);
    one.become('open');
    two.become('closed');
    await quiet();
    expect(served).toEqual([one]);
  });

  it('are as many at once as the handler bears', async () => {
    let running = 0;
    let taken = 0;
    const finish: (() => void)[] = [];
    const handler: Handler = {
      kind: 'exec',
      serve: () => {
        running++;
        return new Promise((resolve) => finish.push(() => resolve('done')));
      },
    };
    const list = Array.from({ length: 1000 }, () => {
      const one = new FakeConversation();
      one.state = 'open';
      return one;
    });
    const all = serveAll(
      from(list, () => taken++),
      handler,
      silentLogger,
      'h',
    );
    for (let i = 0; i < 200; i++) await quiet();
    expect(running).toBeLessThanOrEqual(SERVED_AT_ONCE.exec + 1);
    expect(taken).toBeLessThanOrEqual(SERVED_AT_ONCE.exec + 2);
    while (running < 1000) {
      for (const done of finish.splice(0)) done();
      await quiet();
    }
    for (const done of finish.splice(0)) done();
    await all;
    expect(running).toBe(1000);
  });

  it('are closed when the handler fails, and the next is served', async () => {
    let calls = 0;
    const handler: Handler = {
      kind: 'socket',
      serve: async () => {
        if (++calls === 1) throw new TypeError('no more files');
        return 'done';
      },
    };
    const [one, two] = [new FakeConversation(), new FakeConversation()];
    one.state = 'open';
    two.state = 'open';
    await serveAll(from([one, two]), handler, silentLogger, 'h');
    await quiet();
    expect([calls, one.closes, two.closes]).toEqual([2, 1, 0]);
  });
});

it('a program is started when its responder is there, and told the short authentication string', async () => {
  const one = new FakeConversation();
  const said: string[] = [];
  const conversation = Object.assign(one, {
    sas: undefined as { digits: string; emoji: string } | undefined,
    channelBinding: new Uint8Array(32),
    closed: Promise.resolve('finished' as const),
    send: async (message: Uint8Array) => void said.push(new TextDecoder().decode(message)),
    end: async () => {},
    async *[Symbol.asyncIterator]() {},
  });
  const serving = execHandler('printf %s "$RDV_SAS"; exec cat').serve(conversation as unknown as Conversation);
  await quiet();
  conversation.sas = { digits: '1234 567', emoji: '' };
  let finish = (): void => {};
  Object.assign(conversation, { closed: new Promise((resolve) => (finish = () => resolve('finished'))) });
  conversation.end = async () => finish();
  one.become('open');
  await serving;
  expect(said.join('')).toBe('1234 567');
});
