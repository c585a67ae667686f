/** The beacon role: advertises tags, and serves whoever connects: the beacon as a namespace. */
import { type AdvertisedTag, Advertiser } from '@rdv/beacon/advertiser';
import { BeaconNamespace } from '@rdv/beacon/beacon-namespace';
import { type AdvertisingBoard, BoardPeripheral } from '@rdv/hardware/companion/board-peripheral';
import { toRdvError } from '@rdv/protocol/core/errors';
import type { Clock, Surroundings, Timer } from '@rdv/protocol/core/ports';
import type { NodeKey } from '@rdv/protocol/link/peer';
import type { BridgePolicy } from '@rdv/protocol/namespace/port';
import type { TagSecret } from '@rdv/protocol/tag/derived';
import type { Radio } from './radios.js';

const RETIRE_MS = 10 * 60_000;

/** What puts publications on the air. */
export interface AdvertisingRole {
  /** Whether who hears it can connect: then what is published on `ble:` goes on the air, else whatever is published. */
  readonly connectable: boolean;
  /** Puts a publication on the air. */
  advertise(handle: string, secret: TagSecret, bridge: BridgePolicy): void;
  /** Off the air at once. Idempotent. */
  withdraw(handle: string): void;
  /**
   * Off the air in a while: a publication that is over has to be found by who comes late, to be refused, and by the
   * gateways, which take its tombstones along. Idempotent.
   */
  retire(handle: string): void;
  /** The ephemeral ids (8 bytes each) that are sent at the moment. */
  sent(): readonly Uint8Array[];
  /** Puts the adverts on the air anew, whatever the radio said of them before. */
  reassert(): void;
  close(): Promise<void>;
}

export interface BeaconRole extends AdvertisingRole {
  readonly namespace: BeaconNamespace;
}

/** @param flags of a tag's adverts, by its policy */
function advertisingRole(
  advertiser: Advertiser,
  clock: Clock,
  flags: (bridge: BridgePolicy) => Pick<AdvertisedTag, 'wantsBridging' | 'hasMail'>,
): Omit<AdvertisingRole, 'connectable'> {
  const retiring = new Map<string, Timer>();
  const withdraw = (handle: string): void => {
    retiring.get(handle)?.cancel();
    retiring.delete(handle);
    advertiser.remove(handle);
  };
  return {
    advertise(handle, secret, bridge) {
      withdraw(handle);
      advertiser.add(handle, { beaconKey: secret.beaconKey, ...flags(bridge) });
      advertiser.refresh();
    },
    withdraw,
    retire(handle) {
      if (!retiring.has(handle))
        retiring.set(
          handle,
          clock.schedule(RETIRE_MS, () => withdraw(handle)),
        );
    },
    sent: () => advertiser.sent,
    reassert: () => advertiser.reassert(),
    async close() {
      for (const timer of retiring.values()) timer.cancel();
      await advertiser.close();
    },
  };
}

/** An attached board sends in place of an adapter: it takes no connections, so it serves no namespace. */
export function startBoardRole(options: {
  readonly board: AdvertisingBoard;
  readonly ports: Surroundings;
  readonly intervalMs: number;
}): AdvertisingRole {
  const { board, intervalMs } = options;
  const { clock, random, log } = options.ports;
  const peripheral = new BoardPeripheral(board, clock);
  const connectable = false;
  const advertiser = new Advertiser({ peripheral, clock, random, log: log.scope('beacon'), intervalMs, connectable });
  const role = advertisingRole(advertiser, clock, () => ({ wantsBridging: () => false, hasMail: () => false }));
  return {
    ...role,
    connectable,
    async close() {
      await role.close();
      await peripheral.close();
    },
  };
}

export function startBeaconRole(options: {
  readonly radio: Pick<Radio, 'peripheral'>;
  readonly ports: Surroundings;
  readonly intervalMs: number;
  readonly trustedKeys: readonly Uint8Array[];
  readonly nodeKey: NodeKey | undefined;
}): BeaconRole {
  const { radio, ports, intervalMs, trustedKeys, nodeKey } = options;
  const log = ports.log.scope('beacon');
  const { peripheral } = radio;
  const namespace = new BeaconNamespace({
    ...ports,
    log,
    trustedKeys,
    slots: () => peripheral.slots,
    ...(nodeKey ? { nodeKey } : {}),
  });
  const advertiser = new Advertiser({ peripheral, clock: ports.clock, random: ports.random, log, intervalMs });
  namespace.onMail(() => advertiser.refresh());
  peripheral.onLink((link) => {
    try {
      namespace.attach(link);
    } catch (error) {
      log.debug('a central was turned away', { code: toRdvError(error).code });
      link.close('not serving');
    }
  });
  const role = advertisingRole(advertiser, ports.clock, (bridge) => ({
    wantsBridging: () => bridge !== 'none' && namespace.wantsBridging,
    hasMail: () => namespace.hasMail,
  }));
  return {
    ...role,
    connectable: true,
    namespace,
    async close() {
      await role.close();
      await namespace.close();
    },
  };
}
