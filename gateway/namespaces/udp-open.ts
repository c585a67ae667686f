/** Opens a `udp:` namespace on the sockets of this system. */
import type { Surroundings } from '@rdv/protocol/core/ports';
import { UdpNamespace } from './udp.js';
import { UdpSockets } from './udp-socket.js';
import { type UdpTarget, udpName } from './udp-target.js';

export interface OpenUdpOptions extends Surroundings {
  readonly target: UdpTarget;
  /** As of `UdpNamespace`. */
  readonly gateway?: boolean;
}

/**
 * Up at once where an interface is; otherwise as soon as there is one.
 * @example
 * const namespace = await openUdpNamespace({ ...around, target: parseUdpUrl('udp:', bad) });
 */
export async function openUdpNamespace({ target, gateway = false, ...around }: OpenUdpOptions): Promise<UdpNamespace> {
  const port = await UdpSockets.open(target, around);
  return new UdpNamespace({ ...around, port, gateway, name: udpName(target) });
}
