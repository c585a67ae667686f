/** A store at the other end of a link: any namespace, served to a peer. What a namespace service does, in small. */
import { toHex } from '@rdv/protocol/core/bytes';
import type { Surroundings } from '@rdv/protocol/core/ports';
import type { LinkPeer } from '@rdv/protocol/link/peer';
import type { PacketPipe } from '@rdv/protocol/link/pipe';
import { openLink } from '@rdv/protocol/link/session';
import type { Namespace, Subscription } from '@rdv/protocol/namespace/port';

export function serveStore(pipe: PacketPipe, namespace: Namespace, around: Surroundings): LinkPeer {
  const held = new Map<string, Subscription>();
  const link: LinkPeer = openLink(pipe, {
    ...around,
    side: 'responder',
    role: 'store',
    answers: { byId: true },
    handlers: {
      onPut: (record) => namespace.put(record),
      onGet: (query, answer) => {
        if (query.kind !== 'id') throw new Error('asked by a key');
        const watch = namespace.watch({ id: query.id, lookupKey: new Uint8Array(32) }, (record) => {
          answer.record(record).catch(() => {});
        });
        watch.answered.then(
          () => answer.end(),
          () => {},
        );
        return () => watch.close();
      },
      onSub: (queue) => {
        const subscription = namespace.subscribe(queue, (frame) => {
          link.deliver(queue, frame).catch(() => {});
        });
        held.set(toHex(queue), subscription);
        return subscription.ready;
      },
      onUnsub: (queue) => {
        held.get(toHex(queue))?.close();
        held.delete(toHex(queue));
      },
      onSend: (queue, frame) => namespace.send(queue, frame),
    },
  });
  return link;
}
