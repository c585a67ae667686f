/** Whose request it is when a reverse proxy stands before the service (SPEC §14.6). */
import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';
import { RdvError } from '@rdv/protocol/core/errors';

type RequestHead = Pick<IncomingMessage, 'headers' | 'socket'>;

/** Without the brackets and the port that some proxies add, and IPv4 as that. */
function plain(address: string): string {
  const [, bracketed, four] = /^(?:\[([^\]]*)\](?::\d+)?|(\d+\.\d+\.\d+\.\d+):\d+)$/.exec(address.trim()) ?? [];
  return (bracketed ?? four ?? address.trim()).replace(/^::ffff:(?=\d+\.)/, '');
}

/**
 * @param proxies addresses, or networks like `10.0.0.0/8`, of proxies that are believed
 * @returns whether an address is one of theirs
 * @throws RdvError `config` for what is no address
 */
export function trustedAddress(proxies: readonly string[]): (address: string) => boolean {
  const trusted = new BlockList();
  for (const proxy of proxies) {
    const [address = '', prefix] = proxy.split('/');
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    const most = family === 'ipv6' ? 128 : 32;
    const bits = prefix === undefined ? most : Number(prefix);
    if (isIP(address) === 0 || !Number.isInteger(bits) || bits < 0 || bits > most)
      throw new RdvError('config', `trusted proxy "${proxy}": give an address, or a network like 10.0.0.0/8`);
    trusted.addSubnet(address, bits, family);
  }
  return (given) => {
    const address = plain(given);
    return isIP(address) !== 0 && trusted.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
  };
}

/**
 * @param proxies as above
 * @returns the address of the nearest peer that is none of them
 * @throws RdvError `config` for what is no address
 */
export function callerAddress(proxies: readonly string[]): (request: RequestHead) => string {
  const isTrusted = trustedAddress(proxies);
  return ({ headers, socket }) => {
    let address = plain(socket.remoteAddress ?? '');
    const hops = proxies.length === 0 ? [] : String(headers['x-forwarded-for'] ?? '').split(',');
    while (isTrusted(address)) {
      const before = hops.pop();
      if (before === undefined || isIP(plain(before)) === 0) break;
      address = plain(before);
    }
    return address;
  };
}
