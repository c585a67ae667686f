import { VirtualClock } from '@rdv/protocol/core/virtual-clock';
import { SecureChannel } from '@rdv/protocol/link/channel';
import { FragmentPipe } from '@rdv/protocol/link/fragments';
import type { LinkFrame } from '@rdv/protocol/link/frames';
import type { LinkPeer } from '@rdv/protocol/link/peer';
import { type LinkOptions, openLink } from '@rdv/protocol/link/session';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Direction, pipePair, settle } from './pipes.js';
import { linkRig, openRig, random, sniffed, surroundings, until } from './rig.js';

const handlers = { onPut: () => {}, onSub: () => {}, onSend: () => {}, onDeliver: () => {} };

async function bothClosed(a: LinkPeer, b: LinkPeer): Promise<void> {
  await until(() => a.state === 'closed' && b.state === 'closed');
}

describe('a hand on the pipe', () => {
  const attacks: Record<string, (packet: Uint8Array, earlier: readonly Uint8Array[]) => readonly Uint8Array[]> = {
    'flips a bit of the content': (packet) => [packet.with(packet.length - 1, packet.at(-1)! ^ 1)],
    'flips a bit of the head': (packet) => [packet.with(0, packet[0]! ^ 0x40)],
    'drops a packet': () => [],
    'repeats a packet': (packet) => [packet, packet],
    'replays an earlier packet': (packet, earlier) => [earlier[0]!, packet],
    'replays an earlier packet under the right number': (packet, earlier) => [earlier[0]!.with(1, packet[1]!)],
    'truncates a packet': (packet) => [packet.subarray(0, packet.length - 1)],
    'adds a byte': (packet) => [Uint8Array.of(...packet, 0)],
    'sends an empty packet': (packet) => [new Uint8Array(0), packet],
    'grants what was not asked': (packet) => [Uint8Array.of(0x40, packet[1]!, 0)],
  };
  it.each(Object.keys(attacks))('%s: the link ends and nothing false is heard', async (name) => {
    const heard: string[] = [];
    const sent: string[] = [];
    let armed = false;
    const earlier: Uint8Array[] = [];
    const { a, b } = await openRig({
      maxPacketBytes: 60,
      b: { ...handlers, onSend: (_, frame) => void heard.push(Buffer.from(frame).toString('hex')) },
      meddle: (packet, direction) => {
        if (direction !== 'a>b') return [packet];
        if (!armed) {
          if (packet.length === 60) earlier.push(packet);
          return [packet];
        }
        armed = false;
        return attacks[name]!(packet, earlier);
      },
    });
    const send = (): Promise<void> => {
      const frame = random(200);
      sent.push(Buffer.from(frame).toString('hex'));
      return a.send(random(16), frame);
    };
    await send();
    armed = true;
    const hit = send();
    // A dropped packet is noticed with the next one.
    const next = send();
    const outcomes = await Promise.allSettled([hit, next]);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await bothClosed(a, b);
    expect(heard).toEqual(sent.slice(0, 1));
  });

  it('reorders two packets: the link ends', async () => {
    let kept: Uint8Array | undefined;
    let armed = false;
    const { a, b } = await openRig({
      maxPacketBytes: 40,
      b: handlers,
      meddle: (packet, direction) => {
        if (direction !== 'a>b' || !armed) return [packet];
        if (!kept) {
          kept = packet;
          return [];
        }
        armed = false;
        return [packet, kept];
      },
    });
    armed = true;
    await expect(a.send(random(16), random(100))).rejects.toMatchObject({
      name: expect.stringMatching(/Error|Refusal/),
    });
    await bothClosed(a, b);
  });

  it('changes a HELLO of either end: nothing opens', async () => {
    for (const [direction, packets] of [
      ['a>b', 3],
      ['b>a', 4],
    ] as const) {
      for (let bit = 0; bit < packets; bit++) {
        const { a, b, around } = linkRig({
          b: handlers,
          meddle: (packet, way) => (way === direction && packet[1] === bit ? [flip(packet, 2 + bit)] : [packet]),
        });
        const outcome = await Promise.allSettled([a.opened, around.clock.advance(11_000)]);
        expect(outcome[0].status).toBe('rejected');
        await bothClosed(a, b);
      }
    }
  });

  it('cuts the pipe at any moment: everything pending is rejected, nothing hangs', async () => {
    for (let cutAt = 1; cutAt < 40; cutAt += 3) {
      let packets = 0;
      const rig = linkRig({
        maxPacketBytes: 30,
        b: handlers,
        meddle: (packet) => {
          if (++packets === cutAt) rig.pipes.cut();
          return [packet];
        },
      });
      const { a, b, around } = rig;
      const asked = Promise.allSettled([a.opened, a.subscribe(random(16)), a.send(random(16), random(900))]);
      await bothClosed(a, b);
      await asked;
      expect(around.clock.pending).toBe(0);
    }
  });
});

describe('garbage', () => {
  it('never crashes a link, before or after HELLO, and leaves nothing behind', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 60 }), { minLength: 1, maxLength: 30 }),
        fc.boolean(),
        fc.boolean(),
        async (packets, afterHello, numbered) => {
          const { a, b, pipes, around } = linkRig({ b: handlers });
          if (afterHello) await Promise.all([a.opened, b.opened]);
          let number = afterHello ? pipes.seen.filter(({ direction }) => direction === 'a>b').length : 0;
          for (const packet of packets) {
            // With the right number garbage gets further in.
            if (numbered && packet.length > 1) packet[1] = number++ & 255;
            await pipes.a.send(packet).catch(() => {});
          }
          await settle();
          await around.clock.advance(61_000);
          pipes.cut();
          await bothClosed(a, b);
          expect(around.clock.pending).toBe(0);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('refuses a message longer than allowed while it arrives', async () => {
    const clock = new VirtualClock();
    const pair = pipePair();
    const reasons: string[] = [];
    let messages = 0;
    new FragmentPipe(
      pair.b,
      clock,
      { maxBytes: { hello: 61, data: 1000, free: 24 }, credits: 64, assemblyMs: 1000 },
      { onMessage: () => messages++, onClose: (reason) => reasons.push(reason.message) },
    ).start();
    for (let i = 0; i < 6; i++)
      await pair.a.send(Uint8Array.of(i === 0 ? 0x21 : 0x20, i, ...random(200))).catch(() => {});
    await settle();
    expect(messages).toBe(0);
    expect(reasons).toEqual(['a data message that is too long']);
  });

  it('gives up a message that is begun and not finished', async () => {
    const clock = new VirtualClock();
    const pair = pipePair();
    const reasons: string[] = [];
    new FragmentPipe(
      pair.b,
      clock,
      { maxBytes: { hello: 61, data: 1000, free: 24 }, credits: 64, assemblyMs: 1000 },
      { onMessage: () => {}, onClose: (reason) => reasons.push(reason.code) },
    ).start();
    await pair.a.send(Uint8Array.of(0x21, 0, 1));
    await clock.advance(1001);
    expect(reasons).toEqual(['timeout']);
  });

  it('refuses fragments beyond the credits, and HELLOs and answers that are too long', async () => {
    const clock = new VirtualClock();
    const cases: [string, (i: number) => number][] = [
      ['more fragments than granted', (i) => (i === 0 ? 0x21 : 0x20)],
      ['a hello message that is too long', (i) => (i === 0 ? 0x11 : 0x10)],
      ['a free message that is too long', (i) => (i === 0 ? 0x31 : 0x30)],
    ];
    for (const [reason, head] of cases) {
      const pair = pipePair();
      // This end cannot send: its grants do not leave, so the credits run out.
      pair.b.send = () => new Promise(() => {});
      const reasons: string[] = [];
      new FragmentPipe(
        pair.b,
        clock,
        { maxBytes: { hello: 61, data: 1_000_000, free: 24 }, credits: 4, assemblyMs: 1000 },
        { onMessage: () => {}, onClose: (error) => reasons.push(error.message) },
      ).start();
      for (let i = 0; i < 20; i++) await pair.a.send(Uint8Array.of(head(i), i, ...random(18))).catch(() => {});
      await settle();
      expect(reasons).toEqual([reason]);
    }
  });
});

describe('credits', () => {
  it('are never exceeded, in both directions at once, whatever the sizes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 2, max: 20 }),
        fc.integer({ min: 20, max: 244 }),
        fc.array(fc.integer({ min: 1, max: 4000 }), { minLength: 1, maxLength: 12 }),
        async (credits, maxPacketBytes, sizes) => {
          const outstanding: Record<Direction, number> = { 'a>b': 0, 'b>a': 0 };
          let most = 0;
          const { a, b } = await openRig({
            maxPacketBytes,
            a: handlers,
            b: handlers,
            aOptions: { limits: { credits } },
            bOptions: { limits: { credits } },
            meddle: (packet, direction) => {
              const other = direction === 'a>b' ? 'b>a' : 'a>b';
              if ((packet[0]! & 0xf0) === 0x20) outstanding[direction]++;
              if (packet[0] === 0x40) outstanding[other] -= packet[2]!;
              most = Math.max(most, ...Object.values(outstanding));
              return [packet];
            },
          });
          await Promise.all(
            sizes.flatMap((size) => [a.send(random(16), random(size)), b.send(random(16), random(size))]),
          );
          expect(most).toBeLessThanOrEqual(credits);
          expect([a.state, b.state]).toEqual(['open', 'open']);
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe('a peer that breaks rules', () => {
  /** A peer that says in frames what it likes. */
  async function rogue(bOptions: Partial<LinkOptions>, frames: readonly LinkFrame[]): Promise<string> {
    const around = surroundings();
    const pair = pipePair();
    const b = openLink(pair.b, {
      ...around,
      side: 'responder',
      role: 'publisher',
      handlers: { ...handlers, onSend: () => new Promise(() => {}) },
      ...bOptions,
    });
    const hello = { role: 'visitor', answersKeyed: false, answersById: false } as const;
    const limits = { credits: 64, maxMessageBytes: 16_384, maxRequests: 8, maxSubscriptions: 8 };
    const channel = new SecureChannel(pair.a, { ...hello, ...limits }, around, {
      onOpen: () => {},
      onFrame: () => {},
      onClose: () => {},
    });
    channel.start('initiator');
    await b.opened;
    await until(() => channel.state === 'open');
    const reasons: string[] = [];
    b.onClose((reason) => reasons.push(reason.code));
    for (const frame of frames) channel.send(frame).catch(() => {});
    await until(() => b.state === 'closed');
    return reasons.join();
  }
  const sends = (count: number): readonly LinkFrame[] =>
    Array.from({ length: count }, (_, i) => ({ type: 'send', request: i + 1, queue: random(16), frame: random(9) }));

  it('loses the link with a code', async () => {
    const limits = { maxRequests: 4 };
    expect(await rogue({ limits }, sends(9))).toBe('protocol-violation');
    expect(await rogue({}, [{ type: 'ack', request: 5 }])).toBe('protocol-violation');
    const records = Array.from({ length: 40 }, () => ({ type: 'record', request: 1, record: random(900) }) as const);
    expect(await rogue({ metering: { frames: { burst: 30, perSecond: 1 } } }, records)).toBe('quota');
    expect(await rogue({}, [{ type: 'error', request: 0, code: 'internal', retryAfterMs: 0 }])).toBe('internal');
  });

  it('learns why it was turned away, and nothing else shows on the air', async () => {
    const { a, b, pipes } = await openRig({ b: handlers });
    const reasons: string[] = [];
    a.onClose((reason) => reasons.push(reason.code));
    const { LinkRefusal } = await import('@rdv/protocol/link/peer');
    b.close(new LinkRefusal('busy', 'full', 700));
    await bothClosed(a, b);
    expect(reasons).toEqual(['busy']);
    expect(sniffed(pipes, Uint8Array.of(12, 0, 0, 9))).toBe(false);
  });
});

function flip(packet: Uint8Array, at: number): Uint8Array {
  return packet.with(at, packet[at]! ^ 1);
}
