/** Requests to a namespace service and their answers, as whoever makes them sees them. */

export interface HttpAsk {
  readonly method: 'GET' | 'PUT' | 'POST';
  /** Below the base. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
}

export interface HttpReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** Read once, or leave it and `abort`. Ends with an error when the connection does. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Drops the connection. Idempotent. */
  abort(): void;
}

/** Where `ask` goes; a browser's would stand on fetch. */
export interface HttpTransport {
  /** Resolves with the head of the answer; redirects are not followed. @throws RdvError `unreachable`, `canceled` */
  ask(ask: HttpAsk, signal: AbortSignal): Promise<HttpReply>;
  close(): void;
}
