/** The byte stream under a board: a serial port, or whatever a test puts in its place. */

export interface BytePipe {
  /** Takes a copy. What cannot be sent any more is dropped: `onClose` tells. */
  write(bytes: Uint8Array): void;
  onData(listener: (chunk: Uint8Array) => void): void;
  /** Called once, also when it has closed before. `reason` is for people. */
  onClose(listener: (reason: string) => void): void;
  /** Idempotent. Resolves when the port is free for others. */
  close(): Promise<void>;
}

/** Opens it anew. @throws RdvError `adapter`, saying what to do */
export type OpenPipe = () => Promise<BytePipe>;
