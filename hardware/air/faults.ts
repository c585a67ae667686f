/** Faults that a test puts into one controller: what real ones have been seen to do, on demand. */
import { InvalidArgumentError } from '@rdv/protocol/core/errors';

interface CommandFault {
  /** The error code to answer with; undefined: no answer at all. */
  readonly status: number | undefined;
  left: number;
}

/** The command is carried out as usual, refused with an error code, or taken without any answer. */
export type CommandFate = 'execute' | 'swallow' | number;

export class Faults {
  /**
   * LE Set Advertising Data and LE Set Scan Response Data are answered with success and change nothing: the old
   * data stays on the air.
   */
  staleAdvertisingData = false;
  readonly #commands = new Map<number, CommandFault>();

  /**
   * The next `times` commands with `opcode` fail.
   * @param status HCI error code, 1 to 255
   * @param times 1 or more; `Infinity` for ever
   * @throws InvalidArgumentError
   */
  refuse(opcode: number, status: number, times = 1): void {
    if (!Number.isInteger(status) || status < 1 || status > 0xff) {
      throw new InvalidArgumentError(`"status" expected 1 to 255, got ${status}`);
    }
    this.#set(opcode, status, times);
  }

  /** The next `times` commands with `opcode` are neither carried out nor answered. @throws InvalidArgumentError */
  swallow(opcode: number, times = 1): void {
    this.#set(opcode, undefined, times);
  }

  /** No faults any more. */
  clear(): void {
    this.#commands.clear();
    this.staleAdvertisingData = false;
  }

  /** What happens to a command with `opcode` now. */
  fate(opcode: number): CommandFate {
    const fault = this.#commands.get(opcode);
    if (!fault) return 'execute';
    if (--fault.left <= 0) this.#commands.delete(opcode);
    return fault.status ?? 'swallow';
  }

  #set(opcode: number, status: number | undefined, times: number): void {
    if (!Number.isInteger(opcode) || opcode < 1 || opcode > 0xffff) {
      throw new InvalidArgumentError(`"opcode" expected 1 to 65535, got ${opcode}`);
    }
    if (!(times >= 1)) throw new InvalidArgumentError(`"times" expected 1 or more, got ${times}`);
    this.#commands.set(opcode, { status, left: times });
  }
}
