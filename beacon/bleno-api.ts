/** The part of bleno 0.6.2 that the adapter uses, as types: the package's own are of another version. */

export interface BlenoCharacteristicOptions {
  readonly uuid: string;
  readonly properties: readonly ('write' | 'writeWithoutResponse' | 'notify')[];
  readonly onWriteRequest?: (
    data: Uint8Array,
    offset: number,
    withoutResponse: boolean,
    done: (result: number) => void,
  ) => void;
  readonly onSubscribe?: (maxValueBytes: number, notify: (value: Buffer) => void) => void;
  readonly onUnsubscribe?: () => void;
}

export interface Bleno {
  readonly state: string;
  readonly Characteristic: new (options: BlenoCharacteristicOptions) => object;
  readonly PrimaryService: new (options: { uuid: string; characteristics: readonly object[] }) => object;
  on(event: 'stateChange', listener: (state: string) => void): void;
  on(event: 'accept' | 'disconnect', listener: (address: string) => void): void;
  on(event: 'mtuChange', listener: (mtu: number) => void): void;
  setServices(services: readonly object[]): void;
  disconnect(): void;
}

/** ATT results (Core Vol 3 Part F §3.4.1.1). */
export const ATT_SUCCESS = 0x00;
export const ATT_UNLIKELY = 0x0e;

/** bleno takes UUIDs without dashes. */
export function bareUuid(uuid: string): string {
  return uuid.replaceAll('-', '').toLowerCase();
}
