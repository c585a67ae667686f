/**
 * A board as a radio that only advertises: the Peripheral port without links. What it sends ends with the window of the
 * ephemeral id by itself (COMPANION.md §7): a host that is unplugged, or dies, leaves no id on the air past its time.
 */
import { EID_EXPONENT } from '@rdv/protocol/core/constants';
import { CanceledError, InvalidArgumentError } from '@rdv/protocol/core/errors';
import type { Clock } from '@rdv/protocol/core/ports';
import type { AdapterState } from '../radio/central.js';
import type { Advertisement, Peripheral } from '../radio/peripheral.js';
import type { Board } from './board.js';

const WINDOW_MS = 2 ** EID_EXPONENT * 1000;

/** What it needs of a board. */
export type AdvertisingBoard = Pick<Board, 'state' | 'listen' | 'advertise' | 'silence'>;

export class BoardPeripheral implements Peripheral {
  readonly slots = 0;
  readonly freeSlots = 0;
  readonly #board: AdvertisingBoard;
  readonly #clock: Pick<Clock, 'now'>;
  readonly #listeners = new Set<(state: AdapterState) => void>();
  readonly #stop: () => void;
  #closed = false;

  /** @param board stays its owner's: closing this only silences it */
  constructor(board: AdvertisingBoard, clock: Pick<Clock, 'now'>) {
    this.#board = board;
    this.#clock = clock;
    this.#stop = board.listen({
      // Also after a restart on an open line: what it was told to send is gone.
      onUp: () => this.#tell('up'),
      onDown: () => this.#tell('recovering'),
    });
  }

  get state(): AdapterState {
    return this.#closed ? 'closed' : this.#board.state === 'up' ? 'up' : 'recovering';
  }

  onState(listener: (state: AdapterState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** @throws LineDownError · BoardError · InvalidArgumentError for what nobody can answer: connections, a scan response */
  async advertise({ data, address, connectable, intervalMs, scanResponse }: Advertisement): Promise<void> {
    if (this.#closed) throw new CanceledError('the board was closed');
    if (connectable || scanResponse.length > 0) {
      throw new InvalidArgumentError(
        '"advertisement" expected one that is not connectable: a board takes no connections',
      );
    }
    if (!address) throw new InvalidArgumentError('"address" expected: a board has no public one');
    const leaseMs = WINDOW_MS - (Math.floor(this.#clock.now()) % WINDOW_MS);
    await this.#board.advertise({ data, address, intervalMs, leaseMs });
  }

  async stopAdvertising(): Promise<void> {
    // One that cannot be reached ends by itself.
    if (this.#board.state === 'up') await this.#board.silence();
  }

  onLink(): void {}

  async close(): Promise<void> {
    if (this.#closed) return;
    await this.stopAdvertising().catch(() => {});
    this.#stop();
    this.#tell('closed');
    this.#closed = true;
  }

  #tell(state: AdapterState): void {
    for (const listener of [...this.#listeners]) listener(state);
  }
}
