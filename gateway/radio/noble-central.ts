/**
 * The Central port over noble (SPEC §8, §9): scans, filters and copies adverts, connects one at a time. The one file
 * that loads noble. Runs inside a radio host.
 */
import { createRequire } from 'node:module';
import { withAdapter } from '@rdv/hardware/hci/vendor-socket';
import type { CentralKit } from '@rdv/hardware/host/adapter-module';
import { checkScanStatus } from '@rdv/hardware/host/scan-control';
import type {
  AdapterState,
  Central,
  CentralLink,
  HeardAdvert,
  PeerAddress,
  Scan,
  ScanOptions,
} from '@rdv/hardware/radio/central';
import { withDeadline } from '@rdv/protocol/core/deadline';
import { CanceledError, RdvError, throwIfAborted } from '@rdv/protocol/core/errors';
import { Stateful } from '@rdv/protocol/core/stateful';
import { toHeardAdvert } from './noble-advert.js';
import type { Noble, NoblePeripheral } from './noble-api.js';
import { NobleConnection } from './noble-connect.js';
import type { NobleLink } from './noble-link.js';
import { NobleMemory } from './noble-memory.js';

const POWER_ON_DEADLINE_MS = 5000;
const SCAN_DEADLINE_MS = 5000;
const CONNECT_DEADLINE_MS = 10_000;
const LINKS_MAX = 16;
/** Advertisers remembered when duplicates are not wanted. */
const SEEN_MAX = 4096;

/** @throws RdvError `adapter` when the stack does not come up */
export async function openCentral(kit: CentralKit): Promise<Central> {
  // Otherwise noble holds back an advertiser until it is heard twice, or answers a scan request.
  process.env['NOBLE_REPORT_ALL_HCI_EVENTS'] = '1';
  const noble = withAdapter({ adapterId: kit.deviceId }, () => {
    const create = createRequire(import.meta.url)('@abandonware/noble/with-custom-binding') as (options: {
      deviceId: number;
    }) => Noble;
    return create({ deviceId: kit.deviceId });
  });
  const central = new NobleCentral(kit, noble);
  await central.open();
  return central;
}

class NobleCentral extends Stateful<AdapterState> implements Central {
  readonly #kit: CentralKit;
  readonly #noble: Noble;
  readonly #memory: NobleMemory;
  readonly #connections = new Map<string, NobleConnection>();
  #onAdvert: ((advert: HeardAdvert) => void) | undefined;
  #seen: Set<string> | undefined;
  #line: Promise<unknown> = Promise.resolve();
  #scanLine: Promise<unknown> = Promise.resolve();

  constructor(kit: CentralKit, noble: Noble) {
    super('starting');
    this.#kit = kit;
    this.#noble = noble;
    this.#memory = new NobleMemory(noble);
  }

  async open(): Promise<void> {
    const { kit } = { kit: this.#kit };
    this.#noble.on('warning', () => {});
    this.#noble.on('discover', (peripheral) => this.#discovered(peripheral));
    kit.flow.onCompleted((handle) => this.#linkOf(handle)?.drained(kit.flow.completed(handle)));
    const on = new Promise<void>((resolve, reject) => {
      // The first listener for this event is what starts the instance.
      this.#noble.on('stateChange', (state) => {
        if (state === 'poweredOn') resolve();
        else if (this.state === 'starting') reject(new RdvError('adapter', `the central stack says "${state}"`));
        else if (this.state === 'up') kit.wedged(`the central stack says "${state}"`);
      });
    });
    await withDeadline(kit.clock, POWER_ON_DEADLINE_MS, 'the central stack does not come up', on);
    this.become('up');
  }

  async scan(onAdvert: (advert: HeardAdvert) => void, options: ScanOptions = {}): Promise<Scan> {
    this.#mustBeOpen();
    if (this.#onAdvert) throw new RdvError('busy', 'this adapter scans already: stop that scan first');
    this.#onAdvert = onAdvert;
    this.#seen = (options.allowDuplicates ?? true) ? undefined : new Set();
    try {
      await this.#inScanLine(async () => {
        this.#kit.scanner.passive = options.passive ?? true;
        await this.#switchScan(true);
      });
    } catch (error) {
      if (this.#onAdvert === onAdvert) this.#onAdvert = undefined;
      throw error;
    }
    return {
      stop: async () => {
        if (this.#onAdvert !== onAdvert) return;
        this.#onAdvert = undefined;
        if (this.state === 'up') await this.#inScanLine(() => this.#switchScan(false));
      },
    };
  }

  connect(peer: PeerAddress, options: { deadlineMs?: number; signal?: AbortSignal } = {}): Promise<CentralLink> {
    const turn = this.#line.then(() => this.#connect(peer, options.deadlineMs ?? CONNECT_DEADLINE_MS, options.signal));
    this.#line = turn.catch(() => {});
    return turn;
  }

  async close(): Promise<void> {
    if (this.state === 'closed') return;
    const scanned = this.#onAdvert !== undefined;
    this.#onAdvert = undefined;
    this.become('closed');
    if (scanned) await this.#inScanLine(() => this.#switchScan(false)).catch(() => {});
    await Promise.all([...this.#connections.values()].map((connection) => connection.close('the adapter was closed')));
  }

  async #connect(peer: PeerAddress, deadlineMs: number, signal: AbortSignal | undefined): Promise<CentralLink> {
    throwIfAborted(signal);
    this.#mustBeOpen();
    if (this.#connections.size >= LINKS_MAX) throw new RdvError('busy', 'too many connections: close one first');
    const peripheral = this.#memory.pin(peer);
    if (this.#connections.has(peripheral.id)) throw new RdvError('busy', 'connected to this device already');
    const connection = new NobleConnection(this.#kit, peripheral, () => {
      this.#connections.delete(peripheral.id);
      this.#memory.unpin(peripheral);
    });
    this.#connections.set(peripheral.id, connection);
    return connection.open(deadlineMs, signal);
  }

  #discovered(peripheral: NoblePeripheral): void {
    this.#memory.heard(peripheral.id, peripheral.address);
    const advert = this.#onAdvert && toHeardAdvert(peripheral);
    if (!advert) return;
    if (this.#seen) {
      if (this.#seen.has(advert.peer.address)) return;
      if (this.#seen.size >= SEEN_MAX) this.#seen.clear();
      this.#seen.add(advert.peer.address);
    }
    this.#onAdvert?.(advert);
  }

  #inScanLine(work: () => Promise<void>): Promise<void> {
    const turn = this.#scanLine.then(work);
    this.#scanLine = turn.catch(() => {});
    return turn;
  }

  /** By the controller's own answers: noble reports success when it was refused, and then calls nobody back. */
  async #switchScan(on: boolean): Promise<void> {
    const { scanner, clock } = this.#kit;
    // Starting is "off" and then "on": the last answer counts.
    let answers = on ? 2 : 1;
    const answered = new Promise<void>((resolve) => {
      scanner.onAnswer(() => {
        if (--answers === 0) resolve();
      });
    });
    if (on) this.#noble.startScanning([], true);
    else this.#noble.stopScanning();
    await withDeadline(clock, SCAN_DEADLINE_MS, 'the controller does not answer to a scan command', answered);
    if (on) checkScanStatus(scanner.lastStatus);
  }

  #linkOf(handle: number): NobleLink | undefined {
    for (const { link } of this.#connections.values()) if (link?.handle === handle) return link;
    return undefined;
  }

  #mustBeOpen(): void {
    if (this.state !== 'up') throw new CanceledError('the adapter was closed');
  }
}
