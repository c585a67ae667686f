/** A central that obeys no rules of RDV: raw noble on a controller of the air, for what our own never does. */
import { createRequire } from 'node:module';
import { addAdapter } from '@rdv/hardware/hci/adapters';
import { installSeam } from '@rdv/hardware/hci/seam';
import type { HciTransport } from '@rdv/hardware/hci/transport';
import { withAdapter } from '@rdv/hardware/hci/vendor-socket';

export interface RawCharacteristic {
  readonly uuid: string;
  read(done: (error: unknown, data: Buffer) => void): void;
  write(data: Buffer, withoutResponse: boolean, done?: () => void): void;
  subscribe(done?: () => void): void;
  unsubscribe(done?: () => void): void;
  on(event: 'data', listener: (data: Buffer) => void): void;
}

export interface RawPeripheral {
  readonly address: string;
  readonly state: string;
  connect(done: (error: unknown) => void): void;
  disconnect(): void;
  once(event: 'disconnect', listener: () => void): void;
  discoverAllServicesAndCharacteristics(
    done: (error: unknown, services: unknown, characteristics: RawCharacteristic[]) => void,
  ): void;
}

export interface RawNoble {
  on(event: 'stateChange', listener: (state: string) => void): void;
  on(event: 'discover', listener: (peripheral: RawPeripheral) => void): void;
  startScanning(uuids: string[], duplicates: boolean): void;
  stopScanning(): void;
}

let nextId = 60_000;

/** noble itself on `transport`. */
export function rawNoble(transport: HciTransport): RawNoble {
  const from = import.meta.resolve('@rdv/gateway/radio/noble-central');
  installSeam(from);
  const adapterId = nextId++;
  addAdapter(adapterId, transport);
  return withAdapter({ adapterId }, () => {
    const create = createRequire(from)('@abandonware/noble/with-custom-binding') as (options: object) => RawNoble;
    return create({ deviceId: adapterId });
  });
}
