/** Where a `udp:` namespace is spoken (SPEC §13): port, IPv4 broadcast, IPv6 group, interfaces. Opens nothing. */

/** Minted once for RDV1: "RD"; outside the ranges that systems take short-lived ports from. */
export const UDP_PORT = 21_060;
/** Minted once: link-local, transient, of the dynamic group ids of RFC 3307 §4.3. */
export const UDP_GROUP = 'ff12::c9e1:5244';

export interface UdpTarget {
  readonly port: number;
  /** IPv4: to the broadcast address of each interface. */
  readonly broadcast: boolean;
  /** IPv6: to this group on each interface; undefined: IPv4 only. */
  readonly group: string | undefined;
  /** Names; empty: every one that is up, but loopback only where there is no other. */
  readonly interfaces: readonly string[];
}

const FORM = /^udp:(?:\/\/(\[[0-9a-f:]+\]|[a-z0-9.]*)(?::(\d{1,5}))?\/?)?(?:\?(.*))?$/i;

/**
 *   udp:                     every interface, IPv4 broadcast and IPv6 multicast
 *   udp://broadcast          IPv4 alone
 *   udp://multicast:5000     IPv6 alone, at another port
 *   udp://[ff12::1234]?interface=eth0&interface=wlan0
 *
 * @param bad makes an error of what is wrong
 */
export function parseUdpUrl(url: string, bad: (why: string) => Error): UdpTarget {
  const match = FORM.exec(url);
  if (!match) throw bad('there are udp:, udp://broadcast, udp://multicast and udp://[GROUP], each with :PORT');
  const [, host = '', portText, query = ''] = match;
  const parameters = new URLSearchParams(query);
  for (const key of parameters.keys()) {
    if (key !== 'interface') throw bad(`unknown parameter "${key}": there is interface`);
  }
  const interfaces = parameters.getAll('interface');
  for (const name of interfaces) {
    if (!/^[\w.-]{1,15}$/.test(name)) throw bad('"interface" is the name of a network interface, e.g. eth0');
  }
  const port = portText === undefined ? UDP_PORT : Number(portText);
  if (port < 1 || port > 65_535) throw bad('a port is 1 to 65535');
  return { port, interfaces, ...media(host.toLowerCase(), bad) };
}

function media(host: string, bad: (why: string) => Error): Pick<UdpTarget, 'broadcast' | 'group'> {
  if (host === '') return { broadcast: true, group: UDP_GROUP };
  if (host === 'broadcast' || host === '255.255.255.255') return { broadcast: true, group: undefined };
  if (host === 'multicast') return { broadcast: false, group: UDP_GROUP };
  // ff02 (permanent) and ff12 (transient): what stays on the link.
  if (/^\[ff[01]2:[0-9a-f:]+\]$/.test(host)) return { broadcast: false, group: host.slice(1, -1) };
  throw bad('after udp:// goes broadcast, multicast or a link-local group in brackets: [ff12::1234]');
}

/** What people see, and what `parseUdpUrl` understands. */
export function udpName({ port, broadcast, group }: UdpTarget): string {
  const host = broadcast ? (group === undefined ? 'broadcast' : '') : group === UDP_GROUP ? 'multicast' : `[${group}]`;
  const at = port === UDP_PORT ? '' : `:${port}`;
  return host === '' && at === '' ? 'udp:' : `udp://${host}${at}`;
}
