/** The part of noble 1.9.2-26 that the adapter uses, as types. What begins with `_` is private to it: see `noble-memory.ts`. */

export interface NobleAdvertisement {
  readonly serviceData?: readonly { readonly uuid: string; readonly data: Uint8Array }[];
  readonly serviceUuids?: readonly string[];
}

export interface NobleCharacteristic {
  readonly uuid: string;
  on(event: 'data', listener: (data: Uint8Array, isNotification: boolean) => void): void;
  once(event: 'notify', listener: (state: boolean) => void): void;
  subscribe(): void;
  write(data: Buffer, withoutResponse: boolean): void;
  removeAllListeners(): void;
}

export interface NobleService {
  readonly uuid: string;
  once(event: 'characteristicsDiscover', listener: (characteristics: readonly NobleCharacteristic[]) => void): void;
  discoverCharacteristics(uuids: readonly string[]): void;
}

/** Connection parameters in units of the specification: 1.25 ms, 1.25 ms, events, 10 ms. */
export interface NobleConnectParameters {
  readonly minInterval: number;
  readonly maxInterval: number;
  readonly latency: number;
  readonly timeout: number;
}

export interface NoblePeripheral {
  readonly id: string;
  readonly address: string;
  readonly addressType: string;
  readonly connectable: boolean;
  readonly scannable: boolean;
  readonly advertisement: NobleAdvertisement;
  readonly rssi: number;
  readonly mtu: number | null;
  readonly state: string;
  connect(parameters: NobleConnectParameters): void;
  cancelConnect(): void;
  disconnect(): void;
  updateRssi(): void;
  discoverServices(uuids: readonly string[]): void;
  on(event: 'connect', listener: (error: unknown) => void): void;
  on(event: 'disconnect', listener: (reason: unknown) => void): void;
  once(event: 'servicesDiscover', listener: (services: readonly NobleService[]) => void): void;
  once(event: 'rssiUpdate', listener: (rssi: number) => void): void;
  removeAllListeners(): void;
}

export interface Noble {
  readonly state: string;
  on(event: 'stateChange', listener: (state: string) => void): void;
  on(event: 'discover', listener: (peripheral: NoblePeripheral) => void): void;
  on(event: 'warning', listener: (message: string) => void): void;
  startScanning(serviceUuids: readonly string[], allowDuplicates: boolean): void;
  stopScanning(): void;
}
