/** A publication of the running node, as the command that asked for it sees it: the client's half of `publish` in control-protocol.ts. */
import type { Conversation } from '@rdv/protocol/conversation/api';
import { RdvError } from '@rdv/protocol/core/errors';
import type { NamespaceNote, OnNamespace, OpenPublication, PublicationInfo } from './api.js';
import type { JsonLines } from './json-lines.js';

/** @param attach opens the conversation of a token */
export function remotePublication(
  info: PublicationInfo,
  lines: JsonLines,
  onNamespace: OnNamespace,
  attach: (token: string) => Promise<Conversation>,
): OpenPublication {
  const tokens: string[] = [];
  let state: 'serving' | 'over' | 'lost' | 'closed' = 'serving';
  let wake: () => void = () => {};
  let asked: Promise<void> | undefined;
  let unpublished: () => void = () => {};
  // Read whether or not somebody takes conversations: answers to `unpublish` come on the same line.
  void (async () => {
    try {
      for (;;) {
        const line = await lines.read();
        if (!line) break;
        if (typeof line['conversation'] === 'string') tokens.push(line['conversation']);
        else if (line['namespace']) onNamespace(line['namespace'] as NamespaceNote);
        else if (line['unpublished'] === true || line['error'] !== undefined) unpublished();
        else if (line['over'] === true) state = 'over';
        wake();
      }
    } catch {
      // A line that is none: as if the node had hung up.
    }
    if (state === 'serving') state = 'lost';
    unpublished();
    wake();
  })();
  async function* conversations(): AsyncGenerator<Conversation> {
    for (;;) {
      const token = tokens.shift();
      if (token !== undefined) {
        // One that is gone by now concerns nobody; the next may come.
        const conversation = await attach(token).catch(() => undefined);
        if (conversation) yield conversation;
        continue;
      }
      if (state === 'lost') {
        throw new RdvError('closed', 'the node has stopped, and serves the publication when it publishes it again');
      }
      if (state !== 'serving') return;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }
  return {
    info,
    conversations: conversations(),
    unpublish() {
      asked ??= (async () => {
        const done = new Promise<void>((resolve) => {
          unpublished = resolve;
        });
        if (state !== 'serving') return;
        await lines.write({ unpublish: true });
        await done;
      })();
      return asked;
    },
    async close() {
      state = 'closed';
      lines.close();
      wake();
    },
  };
}
