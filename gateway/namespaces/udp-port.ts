/**
 * What the UDP namespace asks of the network: datagrams to everybody on the link, and to one of them. `udp-socket.ts` has
 * real ones; tests have a medium with loss under virtual time.
 */
export interface DatagramPort {
  /** Whether there is an interface to speak on. */
  readonly up: boolean;
  onUp(listener: (up: boolean) => void): void;
  /**
   * To everybody, on every interface; they may hear it more than once, and this end may hear itself.
   * @throws RdvError `unreachable` when no interface took it
   */
  broadcast(datagram: Uint8Array): Promise<void>;
  /** To whoever was heard as `peer`. @throws RdvError `unreachable` */
  send(peer: string, datagram: Uint8Array): Promise<void>;
  /** One listener. `peer` names the sender's socket: its part before the last "|" is the host. Arrays are the listener's. */
  onDatagram(listener: (datagram: Uint8Array, peer: string) => void): void;
  /** Idempotent. */
  close(): Promise<void>;
}

/** The host of a peer, for what one host may cost. */
export function hostOf(peer: string): string {
  return peer.slice(0, peer.lastIndexOf('|'));
}
