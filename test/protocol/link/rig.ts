/** Two link sessions over a pipe pair, with virtual time. */
import { randomBytes } from 'node:crypto';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import type { Surroundings } from '@rdv/protocol/core/ports';
import { VirtualClock } from '@rdv/protocol/core/virtual-clock';
import type { LinkHandlers, LinkPeer } from '@rdv/protocol/link/peer';
import { type LinkOptions, openLink } from '@rdv/protocol/link/session';
import { type Meddle, type PipePair, pipePair, until } from './pipes.js';

export const random = (length: number): Uint8Array => Uint8Array.from(randomBytes(length));

export interface Around extends Surroundings {
  readonly clock: VirtualClock;
}

export function surroundings(): Around {
  const clock = new VirtualClock(undefined, () => new Promise((resolve) => setImmediate(resolve)));
  return { clock, random, log: silentLogger };
}

export interface LinkRig {
  readonly around: Around;
  readonly pipes: PipePair;
  /** Central: Noise initiator. */
  readonly a: LinkPeer;
  readonly b: LinkPeer;
}

export function linkRig(
  options: {
    a?: LinkHandlers;
    b?: LinkHandlers;
    aOptions?: Partial<LinkOptions>;
    bOptions?: Partial<LinkOptions>;
    maxPacketBytes?: number;
    meddle?: Meddle;
  } = {},
): LinkRig {
  const around = surroundings();
  const pipes = pipePair(options);
  const b = openLink(pipes.b, {
    ...around,
    side: 'responder',
    role: 'publisher',
    handlers: options.b ?? {},
    ...options.bOptions,
  });
  const a = openLink(pipes.a, {
    ...around,
    side: 'initiator',
    role: 'visitor',
    handlers: options.a ?? {},
    ...options.aOptions,
  });
  return { around, pipes, a, b };
}

export async function openRig(options: Parameters<typeof linkRig>[0] = {}): Promise<LinkRig> {
  const rig = linkRig(options);
  await Promise.all([rig.a.opened, rig.b.opened]);
  return rig;
}

/** Whether `needle` stands anywhere in the packets' bytes, also across packets. */
export function sniffed(pipes: PipePair, needle: Uint8Array): boolean {
  for (const direction of ['a>b', 'b>a'] as const) {
    const packets = pipes.seen.filter((one) => one.direction === direction).map((one) => one.packet);
    const plain = Buffer.concat(packets);
    const bare = Buffer.concat(packets.map((packet) => packet.subarray(2)));
    if (plain.includes(Buffer.from(needle)) || bare.includes(Buffer.from(needle))) return true;
  }
  return false;
}

export { until };
