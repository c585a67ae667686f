/** The beacon boards of a node, each by its serial port. */
import type { Board } from '@rdv/hardware/companion/board';
import { openSerialPipe } from '@rdv/hardware/companion/serial-pipe';
import type { Store, Surroundings } from '@rdv/protocol/core/ports';
import type { ClockGuard } from './clock-guard.js';
import { type BoardPart, KeptBoard } from './kept-board.js';
import type { PlannedBoard } from './planned-boards.js';

export class KeptBoards {
  readonly #around: { readonly ports: Surroundings; readonly store: Store; readonly clockGuard: ClockGuard };
  readonly #boards: KeptBoard[] = [];

  constructor(around: { readonly ports: Surroundings; readonly store: Store; readonly clockGuard: ClockGuard }) {
    this.#around = around;
  }

  /** Keeps them in step from now on, whenever they are attached. */
  start(planned: readonly PlannedBoard[]): void {
    for (const plan of planned) {
      this.#boards.push(new KeptBoard({ ...this.#around, plan, openPipe: () => openSerialPipe(plan.port) }));
    }
  }

  /** The one at `port`: kept in step anyway, or from now on. */
  at(port: string): Board {
    if (!this.#boards.some(({ part }) => part.port === port)) this.start([{ port, carries: undefined }]);
    return this.#boards.find(({ part }) => part.port === port)!.board;
  }

  /** Resolves once every one has answered. @throws RdvError `unreachable`, saying which does not and why */
  async ready(deadlineMs: number): Promise<void> {
    await Promise.all(this.#boards.map(({ board }) => board.ready(deadlineMs)));
  }

  get parts(): readonly BoardPart[] {
    return this.#boards.map(({ part }) => part);
  }

  async close(): Promise<void> {
    await Promise.all(this.#boards.map((board) => board.close()));
  }
}
