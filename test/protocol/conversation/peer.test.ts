/** SPEC §7: an end against a peer written by hand, which says what the engine never would. */
import { FrameOpener, FrameSealer } from '@rdv/protocol/conversation/frame';
import { firstGeneration } from '@rdv/protocol/conversation/generations';
import { decodeItems, type Item, ItemWriter } from '@rdv/protocol/conversation/items';
import { openConversation } from '@rdv/protocol/conversation/open';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import { MemoryNamespace } from '@rdv/protocol/namespace/memory';
import { MemoryHub } from '@rdv/protocol/namespace/memory-hub';
import { expect, test } from 'vitest';
import { secretsOf, testClock, within } from './support.js';

function handmade() {
  const clock = testClock();
  const hub = new MemoryHub({ clock });
  const { publisher, responder } = secretsOf(7);
  const r = responder.sas.slice();
  const out = firstGeneration(responder.secrets.seed, 'responder', responder.secrets.sendKey);
  const back = firstGeneration(responder.secrets.seed, 'publisher', responder.secrets.receiveKey);
  const sealer = new FrameSealer(out.key, out.queue, new Uint8Array(8));
  const opener = new FrameOpener(back.key, back.queue);
  const conversation = openConversation({
    ...publisher,
    clock,
    log: silentLogger,
    namespaces: [new MemoryNamespace(hub)],
  });
  const carrier = new MemoryNamespace(hub);
  const heard: Item[] = [];
  carrier.subscribe(back.queue, (frame) => {
    const plaintext = opener.open(frame);
    if (plaintext) heard.push(...decodeItems(plaintext));
  });
  const say = async (write: (writer: ItemWriter) => void): Promise<void> => {
    const writer = new ItemWriter(new Uint8Array(4096));
    write(writer);
    await carrier.send(out.queue, sealer.seal(writer.padded(32)));
    await clock.advance(5);
  };
  return { clock, conversation, heard, say, r };
}

test('a challenge is declined, a ping is answered', async () => {
  const { heard, say, r } = handmade();
  const nonce = new Uint8Array(32).fill(9);
  await say((writer) => {
    writer.open(r);
    writer.challenge(nonce);
    writer.ping(77);
  });
  expect(heard).toContainEqual({ type: 'proof', nonce, body: new Uint8Array(0) });
  expect(heard).toContainEqual({ type: 'pong', id: 77 });
});

test('frames without OPEN are dropped before the first with it', async () => {
  const { conversation, heard, say, r } = handmade();
  await say((writer) => writer.data(0, Uint8Array.of(1), true));
  await say((writer) => writer.close(1));
  expect([conversation.state, heard.length]).toEqual(['opening', 0]);
  await say((writer) => writer.open(r));
  expect(conversation.state).toBe('open');
});

test.each<[string, (writer: ItemWriter) => void]>([
  ['an acknowledgement beyond what was sent', (w) => w.ack({ cumulative: 5, window: 9, generation: 0, ranges: [] })],
  ['a generation that never was', (w) => w.ack({ cumulative: 0, window: 9, generation: 1, ranges: [] })],
])('%s ends with state-lost', async (_name, write) => {
  const { clock, conversation, heard, say, r } = handmade();
  await say((writer) => writer.open(r));
  await say(write);
  expect(await within(clock, conversation.closed)).toBe('state-lost');
  expect(heard).toContainEqual({ type: 'close', code: 3 });
});

test.each<[string, (writer: ItemWriter) => void]>([
  ['END within a message', (w) => [w.data(0, Uint8Array.of(1), false), w.end(1)]],
  ['data after END', (w) => [w.end(0), w.data(5, Uint8Array.of(1), true)]],
])('%s ends with protocol-violation', async (_name, write) => {
  const { clock, conversation, say, r } = handmade();
  await say((writer) => writer.open(r));
  await say(write);
  expect(await within(clock, conversation.closed)).toBe('protocol-violation');
  await expect(conversation.send(Uint8Array.of(1))).rejects.toMatchObject({ code: 'protocol-violation' });
});

test('CLOSED closes this end, too, and is never answered', async () => {
  const { clock, conversation, heard, say, r } = handmade();
  await say((writer) => writer.open(r));
  const before = heard.length;
  await say((writer) => writer.closed(1));
  expect(await within(clock, conversation.closed)).toBe('peer-aborted');
  await say((writer) => writer.ping(1));
  await clock.advance(60_000);
  expect(heard.length).toBe(before);
});

test('CLOSE is answered, and for a day every later frame, at most once a second', async () => {
  const { clock, conversation, heard, say, r } = handmade();
  await say((writer) => writer.open(r));
  await say((writer) => writer.close(1));
  expect(await within(clock, conversation.closed)).toBe('peer-aborted');
  const closed = (): number => heard.filter((item) => item.type === 'closed').length;
  expect(closed()).toBe(1);
  for (let i = 0; i < 10; i++) await say((writer) => writer.ping(i));
  expect(closed()).toBe(2);
  for (let i = 0; i < 10; i++) {
    await clock.advance(1000);
    await say((writer) => writer.ping(i));
  }
  expect(closed()).toBe(12);
  await clock.advance(86_400_000);
  await say((writer) => writer.ping(1));
  expect([closed(), clock.pending]).toEqual([12, 0]);
});
