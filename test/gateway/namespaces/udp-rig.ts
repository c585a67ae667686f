/** UDP namespaces on a virtual link. */
import { UdpNamespace } from '@rdv/gateway/namespaces/udp';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import { VirtualClock } from '@rdv/protocol/core/virtual-clock';
import { expect } from 'vitest';
import { seededRandom } from '../../support/seeded-random.js';
import { VirtualLink, type VirtualLinkOptions, type VirtualPort } from '../../support/virtual-link.js';

export interface UdpEnd {
  readonly port: VirtualPort;
  readonly namespace: UdpNamespace;
}

export function udpRig(options: Partial<VirtualLinkOptions> = {}) {
  const clock = new VirtualClock(undefined, () => new Promise((resolve) => setImmediate(resolve)));
  const link = new VirtualLink({ clock, ...options });
  const around = { clock, log: silentLogger, random: seededRandom(`udp ${options.seed ?? 1}`) };
  const ends: UdpEnd[] = [];
  const end = (more: { readonly gateway?: boolean; readonly host?: string } = {}): UdpEnd => {
    const port = link.port(more.host);
    const made = { port, namespace: new UdpNamespace({ ...around, port, gateway: more.gateway ?? false }) };
    ends.push(made);
    return made;
  };
  return {
    around,
    clock,
    link,
    end,
    until: async (done: () => boolean, limitMs = 60_000) => {
      expect(await clock.advanceUntil(done, limitMs)).toBe(true);
    },
    hour: () => Math.floor(clock.now() / 1000) + 3600,
    close: async () => {
      await Promise.all(ends.map(({ namespace }) => namespace.close()));
    },
  };
}
