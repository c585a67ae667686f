/**
 * What others ask of a namespace, as whoever serves or hears it can see it (SPEC §9.6): a service sees its clients'
 * look-ups and subscriptions, an end on a broadcast medium hears them. A bridge follows it, and so carries only what
 * somebody wants. A client of a broker sees nothing of the kind: such a namespace has no `Interest`.
 *
 * What bridges themselves ask is not shown (a link's HELLO says gateway), or two of them would keep each other's
 * interest alive for ever.
 */

/** Called in the order in which things were asked. Arrays belong to the listener. */
export interface InterestListener {
  /** Somebody looks `id` (32 bytes) up. Not called again while somebody does. */
  onLookup(id: Uint8Array): void;
  /** Nobody does any more. */
  onLookupEnd(id: Uint8Array): void;
  /** Somebody holds `queue` (16 bytes). Not called again while somebody does. */
  onSub(queue: Uint8Array): void;
  /** Nobody does any more. */
  onUnsub(queue: Uint8Array): void;
  /** Somebody put a record; whether it has been verified is the namespace's affair. */
  onPut(record: Uint8Array): void;
  /** Somebody sent a frame that nobody who is there now has taken: whoever reads the queue may be elsewhere. */
  onSend(queue: Uint8Array, frame: Uint8Array): void;
}

export interface Interest {
  /**
   * Whether what is put there is found there by its id. A broadcast medium's publishers answer by key alone, which a
   * bridge does not have: what they put has to be carried when it is put.
   */
  readonly answersById: boolean;
  /** Tells the listener what is asked at present, then what changes. @returns the way to stop that */
  observe(listener: InterestListener): () => void;
}
