import { CommandQueue, type Job, send } from '@rdv/hardware/hci/mux/command-queue';
import { command, commandComplete, commandStatus } from '@rdv/hardware/hci/packets';
import { VirtualClock } from '@rdv/protocol/core/virtual-clock';
import { describe, expect, it } from 'vitest';

function queue() {
  const clock = new VirtualClock();
  const written: Uint8Array[] = [];
  const silent: number[] = [];
  const it = new CommandQueue({
    clock,
    deadlineMs: 2000,
    write: (packet) => written.push(packet),
    onSilent: () => silent.push(clock.monotonic()),
  });
  return { clock, written, silent, it };
}

describe('commands to a controller', () => {
  it('has one in flight and lets nothing between the steps of a job', async () => {
    const { it: line, written } = queue();
    const steps: string[] = [];
    function* job(name: string): Job<string> {
      for (const opcode of [0x2005, 0x2008]) {
        yield* send(command(opcode));
        steps.push(`${name} ${opcode.toString(16)}`);
      }
      return name;
    }
    const both = Promise.all([line.run(() => job('a')), line.run(() => job('b'))]);
    for (let i = 0; i < 4; i++) {
      expect(written).toHaveLength(i + 1);
      expect(line.answer(commandComplete(0x0c03, 0))).toBe(false);
      expect(line.answer(commandComplete(i % 2 === 0 ? 0x2005 : 0x2008, 0))).toBe(true);
      // Within the answer, not after an awaited promise.
      expect(steps).toHaveLength(i + 1);
    }
    expect(await both).toEqual(['a', 'b']);
    expect(steps).toEqual(['a 2005', 'a 2008', 'b 2005', 'b 2008']);
  });

  it('goes on with a status where an answer does not come, and gives up after three', async () => {
    const { it: line, clock, silent } = queue();
    const statuses: number[] = [];
    function* one(): Job<void> {
      statuses.push((yield* send(command(0x2005))).status);
    }
    void line.run(one);
    await clock.advance(1999);
    expect(statuses).toEqual([]);
    await clock.advance(1);
    expect(statuses).toEqual([0x1f]);
    expect(line.answer(commandComplete(0x2005, 0))).toBe(false);
    void line.run(one);
    expect(line.answer(commandStatus(0x2005, 0x0c))).toBe(true);
    expect(statuses).toEqual([0x1f, 0x0c]);
    for (let i = 0; i < 3; i++) line.run(one).catch(() => {});
    await clock.advance(6000);
    expect(silent).toEqual([8000]);
    expect(line.unanswered).toBe(4);
  });

  it('gives an answer that may lie unread more time, when the process stood still past the deadline', async () => {
    const { it: line, clock } = queue();
    let stoodStill = 0;
    const { monotonic } = clock;
    clock.monotonic = () => monotonic.call(clock) + stoodStill;
    const statuses: number[] = [];
    function* one(): Job<void> {
      statuses.push((yield* send(command(0x2005))).status);
    }
    void line.run(one);
    stoodStill = 3000;
    await clock.advance(2000);
    expect(statuses).toEqual([]);
    expect(line.answer(commandComplete(0x2005, 0))).toBe(true);
    expect(statuses).toEqual([0]);
    void line.run(one);
    stoodStill = 6000;
    await clock.advance(2249);
    expect(statuses).toEqual([0]);
    await clock.advance(1);
    expect(statuses).toEqual([0, 0x1f]);
  });

  it('waits for a signal or its deadline, and takes no other', async () => {
    const { it: line, clock } = queue();
    const seen: number[] = [];
    function* waiting(): Job<void> {
      seen.push((yield { signalWithinMs: 500 }).status);
    }
    line.signal();
    void line.run(waiting);
    line.signal();
    expect(seen).toEqual([0]);
    void line.run(waiting);
    await clock.advance(500);
    expect(seen).toEqual([0, 0x1f]);
  });

  it('rejects what waits when it is closed, and what comes later', async () => {
    const { it: line, clock } = queue();
    function* one(): Job<void> {
      yield* send(command(0x2005));
    }
    const waiting = [line.run(one), line.run(one)];
    line.close();
    line.close();
    for (const each of [...waiting, line.run(one)]) await expect(each).rejects.toMatchObject({ code: 'closed' });
    expect(clock.pending).toBe(0);
  });

  it('passes on what a job throws and goes on with the next', async () => {
    const { it: line, written } = queue();
    // biome-ignore lint/correctness/useYield: it throws before it would
    const bad = line.run(function* (): Job<void> {
      throw new TypeError('broken');
    });
    void line.run(function* (): Job<void> {
      yield* send(command(0x2005));
    });
    await expect(bad).rejects.toMatchObject({ code: 'internal', message: 'broken' });
    expect(written).toHaveLength(1);
  });
});
