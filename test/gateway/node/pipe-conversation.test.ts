import { PassThrough, Readable, Writable } from 'node:stream';
import { pipeConversation } from '@rdv/gateway/node/pipe-conversation';
import type { CloseReason, Conversation } from '@rdv/protocol/conversation/api';
import { CanceledError, RdvError } from '@rdv/protocol/core/errors';
import { describe, expect, it } from 'vitest';

/** A conversation whose peer says `incoming`, and then END when it has heard END. */
function peer(incoming: readonly Uint8Array[], sendFails?: RdvError) {
  const sent: number[] = [];
  let ended = false;
  let finish: (reason: CloseReason) => void = () => {};
  let reason: CloseReason | undefined;
  const closed = new Promise<CloseReason>((resolve) => {
    finish = (how) => {
      reason ??= how;
      resolve(reason);
    };
  });
  const conversation = {
    closed,
    async send(message: Uint8Array) {
      if (sendFails) throw sendFails;
      if (reason) throw new CanceledError();
      sent.push(...message);
    },
    async end() {
      ended = true;
      finish('finished');
    },
    async close() {
      finish('aborted');
    },
    async *[Symbol.asyncIterator]() {
      for (const message of incoming) yield message;
      if ((await closed) !== 'finished') throw new RdvError('closed', 'over');
    },
  } as unknown as Conversation;
  return { conversation, sent, isEnded: () => ended };
}

describe('a conversation as a pipe', () => {
  it('is exact both ways; empty messages are no bytes; a slow reader is waited for', async () => {
    const { conversation, sent, isEnded } = peer([
      Uint8Array.of(1, 2),
      new Uint8Array(0),
      new Uint8Array(100_000).fill(3),
    ]);
    const chunks: Buffer[] = [];
    const slow = new Writable({
      highWaterMark: 1,
      write(chunk: Buffer, _, done) {
        chunks.push(chunk);
        setImmediate(done);
      },
    });
    const input = Readable.from([Buffer.from([7, 8]), Buffer.from([9])]);
    expect(await pipeConversation(conversation, input, slow)).toEqual({ reason: 'finished', failure: undefined });
    expect(sent).toEqual([7, 8, 9]);
    expect(isEnded()).toBe(true);
    const heard = Buffer.concat(chunks);
    expect(heard.length).toBe(100_002);
    expect([...heard.subarray(0, 3)]).toEqual([1, 2, 3]);
    expect(slow.writableEnded).toBe(true);
  });

  it('is broken off when the output breaks, and says by what', async () => {
    const { conversation } = peer([Uint8Array.of(1)]);
    const broken = new Writable({ write: (_chunk, _encoding, done) => done(new Error('gone')) });
    const end = await pipeConversation(conversation, new PassThrough(), broken);
    expect(end).toMatchObject({ reason: 'aborted', failure: { message: 'gone' } });
  });

  it('is broken off when the input breaks', async () => {
    const { conversation } = peer([]);
    const input = new PassThrough();
    input.destroy(new Error('unreadable'));
    const end = await pipeConversation(conversation, input, new PassThrough());
    expect(end).toMatchObject({ reason: 'aborted', failure: { message: 'unreadable' } });
  });

  it('tells of a lost state, whatever closed it', async () => {
    const { conversation } = peer([], new RdvError('state-lost', 'lost'));
    const end = await pipeConversation(conversation, Readable.from([Buffer.from('x')]), new PassThrough());
    expect(end.reason).toBe('state-lost');
  });
});
