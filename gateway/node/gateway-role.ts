/** The gateway role: scans, visits beacons that want bridging, and bridges them to one namespace. Holds no tag. */

import { toRdvError } from '@rdv/protocol/core/errors';
import type { Clock, Logger, Random } from '@rdv/protocol/core/ports';
import type { NodeKey } from '@rdv/protocol/link/peer';
import { openLink } from '@rdv/protocol/link/session';
import type { Namespace } from '@rdv/protocol/namespace/port';
import { Bridge, type BridgeStatus } from '../bridge/bridge.js';
import { Visitor } from '../radio/visitor.js';
import type { Radio } from './radios.js';

export interface GatewayRole {
  readonly status: BridgeStatus & { readonly visits: number; readonly failedVisits: number };
  close(): Promise<void>;
}

export function startGatewayRole(options: {
  readonly radio: Pick<Radio, 'scanner' | 'central'>;
  readonly far: Namespace;
  readonly nodeKey: NodeKey;
  readonly ports: { readonly clock: Clock; readonly random: Random; readonly log: Logger };
}): GatewayRole {
  const { radio, far, nodeKey, ports } = options;
  const log = ports.log.scope('gateway');
  const bridge = new Bridge({
    far,
    clock: ports.clock,
    log: log.scope('bridge'),
    onMail: (beacon) => visitor.mailFor(beacon),
  });
  const visitor: Visitor = new Visitor({
    scanner: radio.scanner,
    central: radio.central,
    bridge,
    clock: ports.clock,
    log: log.scope('visitor'),
    openLink: (pipe, handlers) => {
      const link = openLink(pipe, { ...ports, log, side: 'initiator', role: 'gateway', handlers });
      link.opened
        .then(() => link.prove(nodeKey))
        .catch((error: unknown) => {
          // A beacon that does not trust this gateway may still offer what is for any.
          log.debug('a beacon took no proof of the node key', { code: toRdvError(error).code });
        });
      return link;
    },
  });
  return {
    get status() {
      return { ...bridge.status, visits: visitor.counters.visits, failedVisits: visitor.counters.failures };
    },
    async close() {
      await visitor.close();
      bridge.close();
    },
  };
}
