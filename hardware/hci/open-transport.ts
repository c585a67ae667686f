/** From an adapter's name to its transport. Each kind's vendor package is loaded only when such an adapter is opened. */
import { type AdapterName, parseAdapterName } from './adapter-name.js';
import { type NativeTransport, openNativeByAddress, openNativeSoon } from './native-socket.js';
import { openSerialTransport } from './serial-port.js';
import { openSocketTransport } from './socket-transport.js';
import type { HciTransport } from './transport.js';

export interface OpenedAdapter {
  readonly transport: HciTransport;
  /**
   * `raw`: the kernel uses the controller too, so it must not be reset (`MuxOptions.reset`), and a connection
   * attempt may block the process. The others are exclusive.
   */
  readonly channel: NativeTransport['channel'] | 'h4';
}

/**
 * Opens the adapter called `name` (see `parseAdapterName`).
 * @throws InvalidArgumentError · RdvError `adapter`, saying what to do
 * @example
 * const { transport, channel } = await openTransport('virtual:/run/rdv/air.sock');
 */
export async function openTransport(name: string | AdapterName): Promise<OpenedAdapter> {
  const wanted = typeof name === 'string' ? parseAdapterName(name) : name;
  switch (wanted.kind) {
    case 'index':
      return openNativeSoon(wanted.index);
    case 'address':
      return openNativeByAddress(wanted.address);
    case 'serial':
      return { transport: await openSerialTransport(wanted), channel: 'h4' };
    case 'virtual':
      return { transport: await openSocketTransport(wanted.place), channel: 'h4' };
  }
}
