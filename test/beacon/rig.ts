/** A beacon namespace with centrals connected over pipes in memory. */
import { type BeaconNamespaceOptions, createBeaconNamespace } from '@rdv/beacon/beacon-namespace';
import { LinkNamespace } from '@rdv/protocol/link/link-namespace';
import type { LinkHandlers, LinkPeer, LinkRole, NodeKey } from '@rdv/protocol/link/peer';
import { openLink } from '@rdv/protocol/link/session';
import { testOwner } from '../contract/records.js';
import { type PipePair, pipePair } from '../protocol/link/pipes.js';
import { type Around, surroundings } from '../protocol/link/rig.js';

export function nodeKey(): NodeKey {
  return testOwner();
}

export function beaconRig(options: Partial<BeaconNamespaceOptions> = {}) {
  const around: Around = surroundings();
  const beacon = createBeaconNamespace({ ...around, ...options });
  /** A raw link peer. */
  const connect = async (
    role: LinkRole,
    handlers: LinkHandlers = {},
  ): Promise<{ link: LinkPeer; served: LinkPeer; pipes: PipePair }> => {
    const pipes = pipePair();
    const served = beacon.attach(pipes.b);
    const link = openLink(pipes.a, { ...around, side: 'initiator', role, handlers });
    await link.opened;
    return { link, served, pipes };
  };
  /** A visitor's namespace. */
  const visit = async (maxPacketBytes = 244): Promise<{ visitor: LinkNamespace; pipes: PipePair }> => {
    const pipes = pipePair({ maxPacketBytes });
    beacon.attach(pipes.b);
    const visitor = new LinkNamespace(around);
    await visitor.attach(pipes.a).opened;
    return { visitor, pipes };
  };
  const hour = (): number => Math.floor(around.clock.now() / 1000) + 3600;
  return { around, beacon, connect, visit, hour };
}
