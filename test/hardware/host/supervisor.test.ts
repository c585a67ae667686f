import { hostMachine } from '@rdv/hardware/host/host-machine';
import { openRadioHost, type RadioHost } from '@rdv/hardware/host/open-radio';
import type { HeardAdvert } from '@rdv/hardware/radio/central';
import type { PeripheralLink } from '@rdv/hardware/radio/peripheral';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import { VirtualClock } from '@rdv/protocol/core/virtual-clock';
import { describe, expect, it } from 'vitest';
import { FakeHost } from './fake-host.js';

const MODULES = { central: new URL('file:///central.js'), peripheral: new URL('file:///peripheral.js') };
const AD = {
  data: Uint8Array.of(2, 1, 6),
  scanResponse: new Uint8Array(0),
  address: Uint8Array.of(0x41, 2, 3, 4, 5, 6),
  connectable: true,
  intervalMs: 152.5,
};
const ADVERT: HeardAdvert = {
  peer: { address: '41:02:03:04:05:06', type: 'random' },
  rssi: -40,
  connectable: true,
  serviceData: [{ uuid: 'feaa', data: Uint8Array.of(0x30) }],
  serviceUuids: [],
};

interface Rig {
  readonly clock: VirtualClock;
  readonly hosts: FakeHost[];
  readonly radio: RadioHost;
  readonly states: string[];
  /** The host of this moment. */
  host(): FakeHost;
  /** Lets `ms` pass in seconds, each with a beat as long as the host lives. */
  live(ms: number, reports?: () => number): Promise<void>;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function rig(): Promise<Rig> {
  const clock = new VirtualClock(undefined, turn);
  const hosts: FakeHost[] = [];
  const opening = openRadioHost({
    adapter: 'virtual:/nowhere',
    modules: MODULES,
    clock,
    log: silentLogger,
    spawn: () => {
      const host = new FakeHost();
      hosts.push(host);
      return host;
    },
  });
  hosts[0]!.say({ t: 'opened', slots: 4 });
  const radio = await opening;
  const states: string[] = [];
  radio.onState((state) => states.push(state));
  const host = (): FakeHost => hosts.at(-1)!;
  return {
    clock,
    hosts,
    radio,
    states,
    host,
    async live(ms, reports = () => 0) {
      for (let at = 0; at < ms; at += 1000) {
        await clock.advance(1000);
        if (!host().closed) host().beat(reports());
      }
    },
  };
}

/** Begins a scan and an advertisement, answered. */
async function working(given: Rig, onAdvert: (advert: HeardAdvert) => void = () => {}): Promise<void> {
  const scan = given.radio.central!.scan(onAdvert);
  await turn();
  given.host().answer('scan');
  await scan;
  const advertise = given.radio.peripheral!.advertise(AD);
  await turn();
  given.host().answer('advertise');
  await advertise;
}

describe('a radio host under supervision', () => {
  it('is replaced when it dies: links end with the reason, scan and advertisement come back', async () => {
    const given = await rig();
    const heard: HeardAdvert[] = [];
    await working(given, (advert) => heard.push(advert));
    const links: PeripheralLink[] = [];
    given.radio.peripheral!.onLink((link) => links.push(link));
    given.host().say({ t: 'link', link: 1, side: 'peripheral', maxPacketBytes: 20, localAddress: AD.address });
    const reasons: string[] = [];
    links[0]!.onClose((reason) => reasons.push(reason));

    given.host().die('the radio host ended (SIGKILL)');
    expect(reasons).toEqual(['the radio host ended (SIGKILL)']);
    await expect(links[0]!.send(Uint8Array.of(1))).rejects.toMatchObject({ code: 'closed' });
    await given.clock.advance(100);
    expect(given.hosts).toHaveLength(2);
    given.host().say({ t: 'opened', slots: 4 });
    await turn();
    given.host().answer('scan');
    await turn();
    expect(given.host().calls('advertise')[0]!.call).toMatchObject({ advertisement: { address: AD.address } });
    given.host().answer('advertise');
    given.host().say({ t: 'advert', advert: ADVERT });
    expect(heard).toEqual([ADVERT]);
    expect(given.states).toEqual(['recovering', 'up']);
    await given.radio.close();
  });

  it('never gives up, and waits longer each time', async () => {
    const given = await rig();
    const startedAt: number[] = [];
    for (let i = 0; i < 16; i++) {
      given.host().die('gone');
      const before = given.clock.monotonic();
      expect(await given.clock.advanceUntil(() => given.hosts.length === i + 2, 61_000)).toBe(true);
      startedAt.push(given.clock.monotonic() - before);
    }
    expect(startedAt.slice(0, 4)).toEqual([100, 200, 400, 800]);
    expect(startedAt.at(-1)).toBe(60_000);
    expect(given.radio.state).toBe('down');
    given.host().say({ t: 'opened', slots: 4 });
    expect(given.radio.state).toBe('up');
    // A minute up, and the next failure counts as the first.
    await given.live(61_000);
    given.host().die('gone');
    expect(await given.clock.advanceUntil(() => given.hosts.length === 18, 100)).toBe(true);
    await given.radio.close();
  });

  it('replaces a host that shows no sign of life, one that grows too large, and one that talks nonsense', async () => {
    const given = await rig();
    await given.clock.advance(8000);
    expect(given.hosts[0]!.closed).toBe(true);
    expect(given.radio.health.lastFailure).toContain('no sign of life');
    given.host().say({ t: 'opened', slots: 4 });
    given.host().beat(0, 2 ** 30);
    expect(given.hosts[1]!.closed).toBe(true);
    expect(given.radio.health.lastFailure).toContain('memory');
    await given.clock.advance(1000);
    given.host().say({ t: 'opened', slots: 4 });
    given.host().sayAnything({ t: 'advert', advert: { ...ADVERT, rssi: 'loud' } });
    expect(given.hosts[2]!.closed).toBe(true);
    await given.radio.close();
  });

  it('replaces a host that does not answer a call', async () => {
    const given = await rig();
    const scan = given.radio.central!.scan(() => {});
    const refused = expect(scan).rejects.toMatchObject({ code: 'timeout' });
    await given.live(11_000);
    await refused;
    expect(given.hosts.length).toBeGreaterThan(1);
    await given.radio.close();
  });

  it('takes quiet for quiet: asks the controller, restarts the scan, and keeps the host if it answers', async () => {
    const given = await rig();
    await working(given);
    await given.live(32_000);
    expect(given.host().calls('probe')).toHaveLength(1);
    given.host().answer('probe');
    await turn();
    expect(given.host().calls('scan')).toHaveLength(2);
    given.host().answer('scan');
    await turn();
    given.host().answer('advertise');
    await given.live(20_000);
    expect(given.hosts).toHaveLength(1);
    // Not asked while reports come, nor when no scan is wanted.
    let reports = 0;
    await given.live(90_000, () => ++reports);
    expect(given.host().calls('probe')).toHaveLength(1);
    expect(given.hosts).toHaveLength(1);
    // Quiet again, and this time no answer.
    await given.live(40_000, () => reports);
    expect(given.hosts).toHaveLength(2);
    await given.radio.close();
  });

  it('leaves a host without a scan alone, however quiet', async () => {
    const given = await rig();
    await given.live(200_000);
    expect(given.hosts).toHaveLength(1);
    expect(given.host().calls('probe')).toHaveLength(0);
    await given.radio.close();
  });

  it('fails at the first start with what the host said, and keeps trying when patient', async () => {
    for (const patient of [false, true]) {
      const clock = new VirtualClock(undefined, turn);
      const hosts: FakeHost[] = [];
      const opening = openRadioHost({
        adapter: 'hci7',
        modules: MODULES,
        clock,
        log: silentLogger,
        patient,
        spawn: () => {
          hosts.push(new FakeHost());
          return hosts.at(-1)!;
        },
      });
      const outcome = opening.catch((error: unknown) => error);
      hosts[0]!.say({ t: 'failed', code: 'adapter', message: 'there is no hci7: plug it in' });
      if (!patient) {
        expect(await outcome).toMatchObject({ code: 'adapter', message: 'there is no hci7: plug it in' });
        await clock.advance(120_000);
        expect(hosts).toHaveLength(1);
        continue;
      }
      const radio = (await outcome) as RadioHost;
      await clock.advance(1000);
      hosts.at(-1)!.say({ t: 'opened', slots: 4 });
      expect(radio.state).toBe('up');
      await radio.close();
    }
  });

  it('lets the host go in order when closed, and rejects what is pending', async () => {
    const given = await rig();
    const connect = given.radio.central!.connect(ADVERT.peer);
    const ended = expect(connect).rejects.toMatchObject({ code: 'adapter' });
    await turn();
    await given.radio.close();
    expect(given.host().calls('close')).toHaveLength(1);
    await ended;
    expect(given.host().closed).toBe(true);
    expect(given.states).toEqual(['closed']);
    await given.radio.close();
    await expect(given.radio.central!.scan(() => {})).rejects.toMatchObject({ code: 'canceled' });
    await expect(given.radio.central!.connect(ADVERT.peer)).rejects.toMatchObject({ code: 'canceled' });
    expect(given.clock.pending).toBe(0);
  });

  it('drops a connection that comes after its call was given up', async () => {
    const given = await rig();
    const abort = new AbortController();
    const connect = given.radio.central!.connect(ADVERT.peer, { signal: abort.signal });
    const canceled = expect(connect).rejects.toMatchObject({ code: 'canceled' });
    await turn();
    const { id } = given.host().calls('connect')[0]!;
    abort.abort();
    await canceled;
    expect(given.host().sent).toContainEqual({ t: 'cancel', id });
    given.host().say({ t: 'link', link: 3, side: 'central', maxPacketBytes: 244 });
    given.host().answer('connect', 3);
    expect(given.host().sent).toContainEqual({ t: 'close-link', link: 3 });
    await given.radio.close();
  });

  it('connects to one at a time', async () => {
    const given = await rig();
    const first = given.radio.central!.connect(ADVERT.peer);
    const second = given.radio.central!.connect(ADVERT.peer);
    await turn();
    expect(given.host().calls('connect')).toHaveLength(1);
    // Who gives up in line does not hold it up.
    const abort = new AbortController();
    const impatient = given.radio.central!.connect(ADVERT.peer, { signal: abort.signal });
    abort.abort();
    await expect(impatient).rejects.toMatchObject({ code: 'canceled' });
    given.host().say({ t: 'link', link: 1, side: 'central', maxPacketBytes: 244 });
    given.host().answer('connect', 1);
    expect((await first).maxPacketBytes).toBe(244);
    await turn();
    expect(given.host().calls('connect')).toHaveLength(2);
    given.host().say({ t: 'error', id: given.host().calls('connect')[1]!.id, code: 'unreachable', message: 'gone' });
    await expect(second).rejects.toMatchObject({ code: 'unreachable' });
    await given.radio.close();
  });

  it('refuses bad arguments by name', async () => {
    const given = await rig();
    const { peripheral } = given.radio;
    await expect(peripheral!.advertise({ ...AD, data: new Uint8Array(32) })).rejects.toThrow('"data"');
    await expect(peripheral!.advertise({ ...AD, intervalMs: 5 })).rejects.toThrow('"intervalMs"');
    await expect(peripheral!.advertise({ ...AD, address: new Uint8Array(5) })).rejects.toThrow('"address"');
    await given.radio.close();
    const options = { adapter: 'hci0', modules: MODULES, clock: given.clock, log: silentLogger };
    await expect(openRadioHost({ ...options, slots: 17 })).rejects.toThrow('"slots"');
    await expect(openRadioHost({ ...options, modules: {} })).rejects.toThrow('"modules"');
    await expect(openRadioHost({ ...options, adapter: '' })).rejects.toThrow('"adapter"');
  });

  it('lists in its table a way out of every state but the last', () => {
    for (const [state, row] of Object.entries(hostMachine.table)) {
      expect(Object.keys(row).length > 0, state).toBe(!hostMachine.final.includes(state as 'closed'));
    }
  });
});
