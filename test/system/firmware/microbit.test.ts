// The very image for the micro:bit, emulated: provisioned over a serial port, right at a window, after a day and after thirty;
// resets, loss of power, an unplugged cable.
import { randomBytes } from 'node:crypto';
import { decodeAdvertisingData } from '@rdv/protocol/advert/beacon';
import { eidAt } from '@rdv/protocol/tag/eid';
import { afterEach, beforeAll, expect, it, vi } from 'vitest';
import { EmulatedMicrobit, type MicrobitOptions } from '../../support/emulated-microbit.js';
import { makeFirmware } from '../../support/firmware-build.js';
import { ADVERT, ECHO, Host, IDENTITY, PROVISION, provisionPayload, RESET, STATUS } from './host.js';

const T = 1_790_000_000;
const boards: EmulatedMicrobit[] = [];
const hosts: Host[] = [];

async function board(options?: MicrobitOptions): Promise<EmulatedMicrobit> {
  const started = await EmulatedMicrobit.start(options);
  boards.push(started);
  return started;
}

async function host(path: string): Promise<Host> {
  const opened = await Host.open(path);
  hosts.push(opened);
  await opened.hello();
  return opened;
}

beforeAll(() => {
  makeFirmware('microbit');
});

afterEach(async () => {
  for (const each of hosts.splice(0)) await each.close();
  for (const each of boards.splice(0)) await each.kill();
});

/** What the radio sends is what the host was told, and the id is the key's. */
async function onAir(microbit: EmulatedMicrobit, line: Host, key: Buffer): Promise<{ address: string; eid: string }> {
  const said = await line.advert();
  const pdu = Buffer.from(await microbit.radioPdu());
  expect(pdu[0], 'ADV_NONCONN_IND from a random address').toBe(0x42);
  expect(Buffer.from(pdu.subarray(2, 8)).reverse().toString('hex')).toBe(said.address);
  expect(pdu.toString('hex', 8)).toBe(said.data);
  expect(Number.parseInt(said.address.slice(0, 2), 16) & 0xc0, 'non-resolvable').toBe(0);
  const beacon = decodeAdvertisingData(pdu.subarray(8));
  expect(beacon?.connectable).toBe(beacon?.format === 'eddystone');
  const eid = Buffer.from(beacon!.eid).toString('hex');
  expect(eid).toBe(Buffer.from(eidAt(key, said.clock)).toString('hex'));
  return { address: said.address, eid };
}

it('carries a tag: at a window, a day and thirty days later', async () => {
  const microbit = await board();
  const line = await host(microbit.path);
  const key = randomBytes(16);
  expect((await line.do(IDENTITY)).toString('latin1', 15, 24)).toBe('micro:bit');
  expect(await microbit.radioPdu()).toHaveLength(0);
  expect((await line.advert()).kind).toBe(0);
  const begun = performance.now();
  const answer = await line.do(PROVISION, provisionPayload({ key, seconds: T }));
  expect(answer.subarray(8)).toEqual(Buffer.from(eidAt(key, T)));
  const seen = [await onAir(microbit, line, key)];
  for (const seconds of [1024, 86_400, 30 * 86_400]) {
    await line.advance(seconds);
    seen.push(await onAir(microbit, line, key));
  }
  const passed = (await line.advert()).clock - T - 1024 - 31 * 86_400;
  expect(passed).toBeLessThan((performance.now() - begun) / 1000 + 2);
  // One address per id, and never the same twice.
  for (const what of ['address', 'eid'] as const) expect(new Set(seen.map((s) => s[what])).size).toBe(4);
  // The changes were told, each with its address.
  expect(line.adverts.map((a) => a.address)).toEqual(seen.map((s) => s.address));
  await line.do(PROVISION, provisionPayload({ key, seconds: T, format: 1, txDbm: -7 }));
  await onAir(microbit, line, key);
  expect((await microbit.radioPdu())[8 + 12], 'calibrated: level -8, 2 dB lost').toBe(256 - 10);
  // Its own stack and memory fit 2 KiB: beneath the deepest stack there is memory that was never touched.
  const memory = await microbit.read(0x2000_0000, 2048);
  const used = await microbit.read(0x2000_0800, 2048);
  expect(used.every((byte) => byte === 0)).toBe(true);
  let free = 0;
  for (let run = 0, at = 764; at < 2048; at++) {
    run = memory[at] === 0 ? run + 1 : 0;
    free = Math.max(free, run);
  }
  console.log(`micro:bit: ${free} bytes of the stack were never used`);
  expect(free).toBeGreaterThan(128);
});

it('keeps its clock over a reset, and not over a loss of power', async () => {
  const microbit = await board();
  const line = await host(microbit.path);
  const [key, label] = [randomBytes(16), randomBytes(8)];
  const begun = performance.now();
  await line.do(PROVISION, provisionPayload({ key, label, seconds: T }));
  const first = await onAir(microbit, line, key);
  for (const how of ['asked', 'pressed']) {
    const seen = line.boots.length;
    if (how === 'asked') await line.ask(RESET, Buffer.from('RSET'), 1);
    else await microbit.pressReset();
    const boot = await line.boot(seen);
    expect(boot[5], 'kept').toBe(2);
    expect(await line.ask(ADVERT), 'the session is gone').toEqual(Buffer.from([6]));
    await line.hello();
    const again = await onAir(microbit, line, key);
    expect(again.eid).toBe(first.eid);
    expect(again.address).not.toBe(first.address);
    const passed = (await line.advert()).clock - T;
    expect(passed).toBeLessThan((performance.now() - begun) / 1000 + 2);
  }
  const flash = await microbit.readFlash();
  await microbit.kill();

  const next = await board({ flash });
  const other = await host(next.path);
  const status = await other.do(STATUS);
  expect(status[1], 'the clock is lost').toBe(0);
  expect(status.subarray(20, 28)).toEqual(label);
  const pdu = Buffer.from(await next.radioPdu());
  expect(pdu.toString('hex', 8)).toBe('0201061221a405c5b4c08bca9f3a475e524e2a280d18');
  expect(decodeAdvertisingData(pdu.subarray(8))).toBeUndefined();
  await other.do(6, Buffer.from([...be32(T + 5000), 0, 0, 0x7f, 0xff, 0]));
  expect((await onAir(next, other, key)).eid).toBe(Buffer.from(eidAt(key, T + 5000)).toString('hex'));
});

const be32 = (value: number): number[] => [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];

it('runs on when the cable is pulled', async () => {
  const microbit = await board();
  const line = await Host.open(microbit.path);
  const { bootId } = await line.hello();
  const key = randomBytes(16);
  // A second before the end of a window.
  await line.do(PROVISION, provisionPayload({ key, seconds: T - (T % 1024) + 1023 }));
  await line.close();
  await microbit.unplug();
  const eid = Buffer.from(eidAt(key, T + 1024)).toString('hex');
  await vi.waitFor(async () => expect(Buffer.from(await microbit.radioPdu()).toString('hex')).toContain(eid), {
    timeout: 40_000,
    interval: 20,
  });
  await microbit.plug();
  const again = await Host.open(microbit.path);
  hosts.push(again);
  expect((await again.hello()).bootId).toBe(bootId);
  await onAir(microbit, again, key);
});

it('any write to flash that is cut off leaves the old settings or the new ones', async () => {
  const microbit = await board();
  const line = await host(microbit.path);
  const [old, next] = [randomBytes(8), randomBytes(8)];
  await line.do(PROVISION, provisionPayload({ key: randomBytes(16), label: old, seconds: T }));
  const before = Buffer.from(await microbit.readFlash());
  await line.do(PROVISION, provisionPayload({ key: randomBytes(16), label: next, seconds: T }));
  const after = Buffer.from(await microbit.readFlash());
  await microbit.kill();
  // The order of its writes: record, sequence number, its complement; then the old page is erased.
  const page = before.readUInt32LE(0) === 0xffff_ffff ? 0 : 1024;
  const order = [...Array.from({ length: 12 }, (_, i) => page + 16 + 4 * i), page, page + 4];
  const labels: string[] = [];
  for (let written = 0; written <= order.length + 1; written++) {
    const flash = Buffer.from(before);
    for (const at of order.slice(0, written)) after.copy(flash, at, at, at + 4);
    const torn = order[written];
    if (torn !== undefined) flash.writeUInt32LE((after.readUInt32LE(torn) | 0x0ff0a55a) >>> 0, torn);
    else if (written > order.length) flash.fill(0xff, 1024 - page, 1024 - page + 512);
    const cut = await board({ flash });
    const restarted = await host(cut.path);
    labels.push((await restarted.do(STATUS)).toString('hex', 20, 28));
    await restarted.do(ECHO);
    // And the next write works.
    await restarted.do(PROVISION, provisionPayload({ key: randomBytes(16), label: next, seconds: T }));
    await restarted.close();
    await cut.kill();
  }
  const changed = labels.indexOf(next.toString('hex'));
  expect(changed).toBeGreaterThan(0);
  expect(labels).toEqual(labels.map((_, i) => (i < changed ? old : next).toString('hex')));
});
