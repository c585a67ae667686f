/** The channel between a node and its radio host: whole messages in order, until it ends. */

export interface Channel {
  /** The process behind it, where it is one. */
  readonly pid?: number | undefined;
  /** After the end it does nothing. */
  send(message: unknown): void;
  /** One listener. */
  onMessage(listener: (message: unknown) => void): void;
  /** Called once, also when set after the end. */
  onClose(listener: (reason: string) => void): void;
  /** Idempotent. Ends the host behind it, by force if need be. */
  close(): void;
}
