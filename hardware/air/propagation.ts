/**
 * What one advertising event sets off: reports to those who scan, a scan response to those who ask, a connection
 * with one who was waiting (Core Vol 6 Part B §4.4). This is the hot path of a crowded air.
 */
import type { DeviceAddress } from './address.js';
import type { Advertiser } from './advertiser.js';
import type { Air } from './air.js';
import type { Controller } from './controller.js';
import { advertisingReport, connectionComplete } from './events.js';
import { ADV, REPORT, STATUS } from './hci-codes.js';
import { Link, LinkEnd } from './link.js';
import type { Path } from './options.js';

/** A packet on the advertising channels, as a sniffer next to the sender has it. */
export interface AdvertisingPdu {
  readonly kind: 'advert' | 'scan-request' | 'scan-response' | 'connect-request';
  /** `ADV` in `hci-codes.ts`: the advertising that it belongs to. */
  readonly type: number;
  readonly from: DeviceAddress;
  /** Whom it is for, where the packet says so. */
  readonly to: DeviceAddress | undefined;
  /** Advertising or scan response data; not to be changed. */
  readonly data: Uint8Array;
  /** Monotonic milliseconds. */
  readonly at: number;
}

const NOTHING = new Uint8Array(0);
/** Report type by advertising type. */
const REPORT_OF: readonly number[] = [
  REPORT.advInd,
  REPORT.advDirectInd,
  REPORT.advScanInd,
  REPORT.advNonconnInd,
  REPORT.advDirectInd,
];

function sniff(
  air: Air,
  kind: AdvertisingPdu['kind'],
  type: number,
  from: DeviceAddress,
  to: DeviceAddress | undefined,
  data: Uint8Array,
  at: number,
): void {
  if (air.sniffed) air.overheard({ kind, type, from, to, data, at });
}

function lost(air: Air, path: Path): boolean {
  return path.loss > 0 && air.random() < path.loss;
}

/** One advertising event of `from`. */
export function transmitAdvert(air: Air, from: Controller): void {
  const adv = from.advertiser;
  const { type, target } = adv.parameters;
  const address = adv.address;
  const data = adv.directed ? NOTHING : adv.data;
  const now = air.clock.monotonic();
  sniff(air, 'advert', type, address, adv.directed ? target : undefined, data, now);
  for (const to of air.controllers) {
    if (to === from) continue;
    const scans = to.scanner.hears(now, air.scanWindows);
    const wants = to.initiator.wants(address, now, air.scanWindows);
    if (!scans && !wants) continue;
    const path = air.pathBetween(from, to);
    if (!path.up || lost(air, path)) continue;
    if (scans && (!adv.directed || target === to.scanner.address)) {
      report(to, REPORT_OF[type]!, address, data, path.rssi);
      if (to.scanner.parameters.active && adv.scannable) askForMore(air, adv, to, path, now);
    }
    if (wants && adv.enabled && adv.connectable) connect(air, from, to, path, now);
  }
}

function report(to: Controller, type: number, from: DeviceAddress, data: Uint8Array, rssi: number): void {
  if (!to.scanner.admits(type, from)) return;
  to.stats.reports++;
  to.emit(advertisingReport(type, from, data, rssi));
}

function askForMore(air: Air, adv: Advertiser, to: Controller, path: Path, now: number): void {
  const { type } = adv.parameters;
  sniff(air, 'scan-request', type, to.scanner.address, adv.address, NOTHING, now);
  if (lost(air, path)) return;
  sniff(air, 'scan-response', type, adv.address, undefined, adv.scanResponse, now);
  if (lost(air, path)) return;
  report(to, REPORT.scanRsp, adv.address, adv.scanResponse, path.rssi);
}

function connect(air: Air, from: Controller, to: Controller, path: Path, now: number): void {
  const adv = from.advertiser;
  const request = to.initiator.request;
  if (!request || (adv.directed && adv.parameters.target !== request.own)) return;
  if (!from.links.hasRoom || !from.links.hasPeripheralRoom || !to.links.hasRoom) return;
  // An advertiser cannot tell under which other addresses it knows the one who asks.
  if (to.links.knows(adv.address) || from.links.joins(adv.address, request.own)) return;
  to.initiator.take();
  sniff(air, 'connect-request', adv.parameters.type, request.own, adv.address, NOTHING, now);
  const central = new LinkEnd(to, to.links.newHandle(), 0, request.own, adv.address);
  const peripheral = new LinkEnd(from, from.links.newHandle(), 1, adv.address, request.own);
  const link = new Link(air, central, peripheral, request.timing);
  to.links.add(central, link);
  if (lost(air, path)) {
    link.failToEstablish();
  } else {
    from.links.add(peripheral, link);
    adv.disable();
    from.emit(connectionComplete(STATUS.success, peripheral.handle, 1, request.own, request.timing));
  }
  to.emit(connectionComplete(STATUS.success, central.handle, 0, adv.address, request.timing));
}

/** Directed advertising that nobody answered is told as a failed connection (Vol 4 Part E §7.8.9). */
export function advertisingTimedOut(from: Controller): void {
  if (from.advertiser.parameters.type !== ADV.directedHighDuty) return;
  const none = { interval: 0, latency: 0, timeout: 0 };
  from.emit(connectionComplete(STATUS.advertisingTimeout, 0, 1, from.advertiser.parameters.target, none));
}
