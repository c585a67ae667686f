import { Duplex, PassThrough } from 'node:stream';
import { serveConversation } from '@rdv/gateway/node/conversation-lines';
import { replyHandler } from '@rdv/gateway/node/handlers/reply';
import { pipeConversation } from '@rdv/gateway/node/pipe-conversation';
import { WriteError } from '@rdv/gateway/node/store/database-client';
import type { Conversation } from '@rdv/protocol/conversation/api';
import { utf8 } from '@rdv/protocol/core/bytes';
import { describe, expect, it } from 'vitest';
import { DurableRig } from '../../protocol/conversation/durable-support.js';

/** Time passes for both ends until `until`, while timers and promises of this process run, too. */
async function pass(rig: DurableRig, until: () => boolean): Promise<void> {
  for (let i = 0; !until(); i++) {
    if (i >= 500) throw new Error('it does not come');
    await rig.clock.advance(200);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Everything that the peer hears, as text. */
function hears(conversation: Conversation): { text: string; ended: boolean } {
  const heard = { text: '', ended: false };
  void (async () => {
    for await (const message of conversation) heard.text += Buffer.from(message).toString();
    heard.ended = true;
  })().catch(() => {});
  return heard;
}

async function opened(): Promise<DurableRig> {
  const rig = new DurableRig();
  rig.begin();
  await pass(rig, () => rig.publisher.conversation.state === 'open');
  return rig;
}

const read = (stream: PassThrough): (() => string) => {
  let text = '';
  stream.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  return () => text;
};

describe('a program whose conversation cannot be stored for a while', () => {
  it('is piped on when it can: nothing is broken off or passed over, either way', async () => {
    const rig = await opened();
    const { publisher, responder } = rig;
    const heard = hears(responder.conversation);
    const [input, output] = [new PassThrough(), new PassThrough()];
    const written = read(output);
    const end = pipeConversation(publisher.conversation, input, output);
    input.write('a');
    void responder.conversation.send(utf8('1'));
    await pass(rig, () => heard.text === 'a' && written() === '1');

    publisher.store.refuses = true;
    void responder.conversation.send(utf8('2'));
    await pass(rig, () => publisher.conversation.durable.failure !== undefined);
    input.write('b');
    await rig.clock.advance(5000);
    expect(heard.text).toBe('a');
    publisher.store.refuses = false;
    input.write('c');
    input.end();
    await pass(rig, () => heard.text === 'abc' && written() === '12');
    void responder.conversation.end();
    await pass(rig, () => heard.ended && publisher.conversation.state === 'closed');
    expect(await end).toEqual({ reason: 'finished', failure: undefined });
  });

  it('behind JSON lines is told of no acknowledgement that was none, and its lines stay in order', async () => {
    const rig = await opened();
    const { publisher, responder } = rig;
    const heard = hears(responder.conversation);
    const [input, output] = [new PassThrough(), new PassThrough()];
    const told = read(output);
    const over = serveConversation(Duplex.from({ readable: input, writable: output }), publisher.conversation);
    publisher.store.refuses = true;
    void responder.conversation.send(utf8('1'));
    await pass(rig, () => publisher.conversation.durable.failure !== undefined);
    for (const text of ['a', 'b']) input.write(`${JSON.stringify({ text })}\n`);
    await rig.clock.advance(5000);
    publisher.store.refuses = false;
    input.write('{"text":"c"}\n{"end":true}\n');
    await pass(rig, () => heard.text === 'abc' && /"acknowledged":3/.test(told()) && /"message":"MQ=="/.test(told()));
    void responder.conversation.end();
    await pass(rig, () => publisher.conversation.state === 'closed');
    expect(await over).toBe('finished');
  });

  it('is answered by a fixed reply once it can be kept', async () => {
    const rig = await opened();
    const { publisher, responder } = rig;
    publisher.store.refuses = true;
    void responder.conversation.end().catch(() => {});
    await pass(rig, () => publisher.conversation.durable.failure !== undefined);
    const heard = hears(responder.conversation);
    const how = replyHandler(utf8('Open 8 to 20.')).serve(publisher.conversation);
    await rig.clock.advance(5000);
    publisher.store.refuses = false;
    await pass(rig, () => heard.ended);
    expect(heard.text).toBe('Open 8 to 20.');
    await pass(rig, () => publisher.conversation.state === 'closed');
    expect(await how).toBe('finished');
  });

  it('is broken off when the database is done for', async () => {
    const rig = await opened();
    const { publisher, responder } = rig;
    const failure = new WriteError({ kind: 'failed', code: 'store', message: 'the disk fails', final: true });
    publisher.store.commit = () => Promise.reject(failure);
    void responder.conversation.send(utf8('2')).catch(() => {});
    await pass(rig, () => publisher.conversation.durable.failure !== undefined);
    const input = new PassThrough();
    const end = pipeConversation(publisher.conversation, input, new PassThrough());
    input.write('b');
    await pass(rig, () => publisher.conversation.state === 'closed');
    await rig.clock.advance(60_000);
    expect(await end).toMatchObject({ reason: 'aborted', failure: { code: 'store' } });
  });
});
