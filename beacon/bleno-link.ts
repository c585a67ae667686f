/**
 * One central's connection as a PeripheralLink (SPEC §9): notifications out, writes in. bleno sends to whoever holds
 * its slot at the moment; so a link ends with its session.
 */
import { GattPipe } from '@rdv/hardware/host/gatt-pipe';
import type { PeripheralLink } from '@rdv/hardware/radio/peripheral';

export class BlenoLink extends GattPipe implements PeripheralLink {
  readonly localAddress: Uint8Array | undefined;

  /**
   * @param localAddress the random address (6 bytes) that the central came in on
   * @param parts how to notify it, and the rest
   */
  constructor(localAddress: Uint8Array | undefined, parts: ConstructorParameters<typeof GattPipe>[0]) {
    super(parts);
    this.localAddress = localAddress;
  }
}
