/**
 * As whom bridges keep things at a namespace service (SPEC §9.6): one sender and one client, so that what all of them
 * bring shares one room, and every process can tell it from what people bring. No hash of an address is as long.
 */
export const BRIDGE_SENDER: Uint8Array = new Uint8Array(16);
export const BRIDGE_CLIENT: Uint8Array = new Uint8Array(8);

export function isBridge(sender: Uint8Array): boolean {
  return sender.length === BRIDGE_SENDER.length;
}
