// Publications to respond to, for the suites that open conversations.
import { systemClock, systemRandom } from '@rdv/hardware/host/system';
import { openConversation } from '@rdv/protocol/conversation/open';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import { MemoryStore } from '@rdv/protocol/core/memory-store';
import { publish } from '@rdv/protocol/rendezvous/publish';
import { respond } from '@rdv/protocol/rendezvous/respond';
import { TagSecret } from '@rdv/protocol/tag/derived';

/** A publication answers so many responses in a burst: then the next one takes its turn. */
const RESPONSES_EACH = 90;

export const around = { clock: systemClock, random: systemRandom, log: silentLogger, openConversation };

/** Keeps a tag published on `namespaces`; `meet(over)` opens a conversation with it and lets it close. */
export function keepPublished(namespaces, published = async () => {}) {
  let tag;
  let publication;
  let left = 0;
  const someTag = async () => {
    if (left-- > 0) return tag;
    await publication?.close();
    tag = new TagSecret(systemRandom(32));
    const current = await publish(tag, {}, { ...around, store: new MemoryStore(), namespaces });
    publication = current;
    await published(current, tag);
    void (async () => {
      for await (const conversation of current) void conversation.close();
    })();
    left = RESPONSES_EACH - 1;
    return tag;
  };
  return {
    async meet(over) {
      const conversation = await respond(await someTag(), {}, { ...around, namespaces: [over] });
      void conversation.close();
    },
    close: async () => publication?.close(),
  };
}
