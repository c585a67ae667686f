import { execHandler } from '@rdv/gateway/node/handlers/exec';
import { replyHandler } from '@rdv/gateway/node/handlers/reply';
import type { CloseReason, Conversation } from '@rdv/protocol/conversation/api';
import { MESSAGE_MAX_BYTES } from '@rdv/protocol/core/constants';
import { describe, expect, it } from 'vitest';

/** A responder who says `incoming` and END, and is finished when the program has said END. */
function responder(incoming: readonly string[]) {
  const heard: Uint8Array[] = [];
  let finish: (reason: CloseReason) => void = () => {};
  const closed = new Promise<CloseReason>((resolve) => {
    finish = resolve;
  });
  const conversation = {
    channelBinding: new Uint8Array(32).fill(0xab),
    sas: { digits: '1234 567', emoji: 'x' },
    state: 'open',
    onState: () => () => {},
    closed,
    send: async (message: Uint8Array) => void heard.push(message),
    end: async () => finish('finished'),
    close: async () => finish('aborted'),
    async *[Symbol.asyncIterator]() {
      for (const text of incoming) yield new TextEncoder().encode(text);
    },
  } as unknown as Conversation;
  return { conversation, text: () => Buffer.concat(heard).toString() };
}

describe('a program per conversation', () => {
  it('hears the responder, its end included, and is heard', async () => {
    const { conversation, text } = responder(['b\n', 'a\n']);
    expect(await execHandler('sort').serve(conversation)).toBe('exit 0');
    expect(text()).toBe('a\nb\n');
  });

  it('is told the channel and what to compare aloud', async () => {
    const { conversation, text } = responder([]);
    await execHandler('printf "%s %s" "$RDV_CHANNEL" "$RDV_SAS"').serve(conversation);
    expect(text()).toBe(`${'ab'.repeat(32)} 1234 567`);
  });

  it('may fail, or not exist: that ends one conversation', async () => {
    expect(await execHandler('exit 3').serve(responder(['x']).conversation)).toBe('exit 3');
    // One that never started is no empty answer: the conversation is broken off.
    const { conversation } = responder([]);
    await expect(execHandler('exec /nonexistent/program 2>/dev/null').serve(conversation)).rejects.toThrow(
      /exit 12[67]/,
    );
    expect(await conversation.closed).toBe('aborted');
    expect(() => execHandler('  ')).toThrow(/empty/);
  });
});

describe('the fixed reply', () => {
  it('is said to everybody, whatever they say', async () => {
    const { conversation, text } = responder(['what?']);
    expect(await replyHandler(new TextEncoder().encode('fixed')).serve(conversation)).toBe('finished');
    expect(text()).toBe('fixed');
    expect(() => replyHandler(new Uint8Array(MESSAGE_MAX_BYTES + 1))).toThrow(/16 MiB/);
  });
});
