// What the central host began and got no answer to in time does not begin behind its back.
import { CentralActivity } from '@rdv/hardware/hci/mux/central-activity';
import type { Job } from '@rdv/hardware/hci/mux/command-queue';
import { command, commandComplete, commandStatus, Opcode, Status, u16le } from '@rdv/hardware/hci/packets';
import { expect, it } from 'vitest';

/** The opcodes that `job` sends, when the first has the answer `status`. */
function sent(job: Job<Uint8Array>, status: number): number[] {
  const opcodes: number[] = [];
  const none = { status: 0, packet: new Uint8Array() };
  for (let step = job.next(none); !step.done; ) {
    if (!('command' in step.value)) throw new Error('a command was expected');
    const opcode = u16le(step.value.command, 1);
    const now = opcodes.length === 0 ? status : Status.ok;
    opcodes.push(opcode);
    const packet = opcode === Opcode.leCreateConnection ? commandStatus(opcode, now) : commandComplete(opcode, now);
    step = job.next({ status: now, packet });
  }
  return opcodes;
}

const scan = (): Job<Uint8Array> => activity().setScanEnable(command(Opcode.leSetScanEnable, [1, 0]));
const create = (): Job<Uint8Array> =>
  activity().create(
    command(
      Opcode.leCreateConnection,
      Array.from({ length: 25 }, () => 0),
    ),
  );

function activity(): CentralActivity {
  return new CentralActivity({ private: false, minSupervisionMs: 2000, signal: () => {} });
}

it.each([
  ['a scan', scan, Opcode.leSetScanEnable, Opcode.leSetScanEnable],
  ['an attempt to connect', create, Opcode.leCreateConnection, Opcode.leCreateConnectionCancel],
])('%s', (_name, job, begins, ends) => {
  expect(sent(job(), Status.unspecified)).toEqual([begins, ends]);
  expect(sent(job(), Status.ok)).toEqual([begins]);
  expect(sent(job(), Status.commandDisallowed)).toEqual([begins]);
});
