import { duplexPair } from 'node:stream';
import { leaveConversation, RemoteConversation, serveConversation } from '@rdv/gateway/node/conversation-lines';
import { fromUtf8, utf8 } from '@rdv/protocol/core/bytes';
import { expect, it } from 'vitest';
import { DurableRig } from '../../protocol/conversation/durable-support.js';

it('a message that a killed command had not taken is handed over again, and none after it is lost', async () => {
  const rig = new DurableRig();
  rig.begin();
  const { publisher, responder } = rig;
  const said = ['one', 'two', 'three'];
  for (const text of said) void responder.conversation.send(utf8(text));
  await rig.clock.advance(1000);
  for (const most of [2, 1, 2]) {
    const [here, there] = duplexPair();
    const served = serveConversation(here, publisher.conversation, leaveConversation);
    const remote = await RemoteConversation.overStream(there);
    const got: string[] = [];
    for await (const message of remote) {
      got.push(fromUtf8(message));
      if (got.length === most) break;
    }
    // The others would come now, were they not waited with.
    await rig.clock.advance(1000);
    expect(got).toEqual(said.slice(0, most));
    // As a socket's end is, when the process behind it is killed.
    there.destroy();
    here.destroy();
    expect(await served).toBe('suspended');
    said.splice(0, most - 1);
    publisher.crash();
    publisher.restart();
    await rig.clock.advance(1000);
  }
  expect(said).toEqual(['three']);
});

it('a command that has no more to say still takes what it hears, to the end', async () => {
  const rig = new DurableRig();
  rig.begin();
  const { publisher, responder } = rig;
  await rig.clock.advance(100);
  const [here, there] = duplexPair();
  const served = serveConversation(here, publisher.conversation, leaveConversation);
  const remote = await RemoteConversation.overStream(there);
  await remote.end();
  for (const text of ['one', 'two']) void responder.conversation.send(utf8(text));
  void responder.conversation.end();
  const got: string[] = [];
  const all = (async () => {
    for await (const message of remote) got.push(fromUtf8(message));
  })();
  for (let i = 0; i < 200 && publisher.conversation.state !== 'closed'; i++) await rig.clock.advance(100);
  await all;
  expect(got).toEqual(['one', 'two']);
  expect(await served).toBe('finished');
  expect(publisher.conversation.durable.delivered).toBe(2);
});
