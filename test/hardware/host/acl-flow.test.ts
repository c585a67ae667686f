import type { HciTransport } from '@rdv/hardware/hci/transport';
import { ATT_NOTIFY, ATT_WRITE_COMMAND, FlowTransport } from '@rdv/hardware/host/acl-flow';
import { checkScanStatus, ScanControlTransport } from '@rdv/hardware/host/scan-control';
import { describe, expect, it } from 'vitest';

class Wire implements HciTransport {
  readonly written: Uint8Array[] = [];
  deliver: (packet: Uint8Array) => void = () => {};
  write(packet: Uint8Array): void {
    this.written.push(packet);
  }
  onPacket(listener: (packet: Uint8Array) => void): void {
    this.deliver = listener;
  }
  onClose(): void {}
  close(): void {}
}

const CONNECTED = Uint8Array.of(4, 0x3e, 19, 1, 0, 0x40, 0, 0, 1, 6, 5, 4, 3, 2, 0x41, 0, 0, 0, 0, 0, 0, 0);
const GONE = Uint8Array.of(4, 5, 4, 0, 0x40, 0, 8);
const att = (opcode: number, continued = false): Uint8Array =>
  continued
    ? Uint8Array.of(2, 0x40, 0x10, 3, 0, opcode, opcode, opcode)
    : Uint8Array.of(2, 0x40, 0x00, 5, 0, 1, 0, 4, 0, opcode);
const completed = (count: number): Uint8Array => Uint8Array.of(4, 0x13, 5, 1, 0x40, 0, count, 0);

describe('the count of what the controller has sent', () => {
  it('counts one kind of PDU, first fragments only, in the order of completion', () => {
    const wire = new Wire();
    const flow = new FlowTransport(wire, ATT_NOTIFY);
    const calls: number[] = [];
    flow.onPacket(() => {});
    flow.onCompleted((handle) => calls.push(handle));
    wire.deliver(CONNECTED);
    expect(flow.handleOf('41:02:03:04:05:06')).toBe(0x40);
    for (const packet of [att(ATT_NOTIFY), att(ATT_NOTIFY, true), att(0x13), att(ATT_NOTIFY)]) flow.write(packet);
    expect(wire.written).toHaveLength(4);
    wire.deliver(completed(1));
    expect(flow.completed(0x40)).toBe(1);
    wire.deliver(completed(2));
    expect(flow.completed(0x40)).toBe(1);
    wire.deliver(completed(1));
    expect([flow.completed(0x40), calls]).toEqual([2, [0x40, 0x40]]);
  });

  it('starts anew with each connection, and survives events that cannot be', () => {
    const wire = new Wire();
    const flow = new FlowTransport(wire, ATT_WRITE_COMMAND);
    flow.onPacket(() => {});
    flow.write(att(ATT_WRITE_COMMAND));
    wire.deliver(completed(9));
    wire.deliver(CONNECTED);
    for (let i = 0; i < 10_000; i++) flow.write(att(ATT_WRITE_COMMAND));
    wire.deliver(completed(255));
    expect(flow.completed(0x40)).toBe(255);
    wire.deliver(GONE);
    expect([flow.completed(0x40), flow.handleOf('41:02:03:04:05:06')]).toEqual([0, undefined]);
    wire.deliver(CONNECTED);
    expect(flow.completed(0x40)).toBe(0);
    for (const event of [[4], [4, 0x13], [4, 0x13, 1, 200], [4, 0x3e], [4, 5], [2], [4, 0x3e, 2, 1, 0]]) {
      wire.deliver(Uint8Array.from(event));
    }
  });
});

describe('scan control', () => {
  const parameters = Uint8Array.of(1, 0x0b, 0x20, 7, 1, 0x12, 0, 0x12, 0, 0, 0);
  const enable = (on: number): Uint8Array => Uint8Array.of(1, 0x0c, 0x20, 2, on, 0);
  const answer = (status: number): Uint8Array => Uint8Array.of(4, 0x0e, 4, 1, 0x0c, 0x20, status);

  it('makes scans passive unless told otherwise, on a copy', () => {
    const wire = new Wire();
    const scan = new ScanControlTransport(wire);
    scan.write(parameters);
    scan.passive = false;
    scan.write(parameters);
    expect(wire.written.map((packet) => packet[4])).toEqual([0, 1]);
    expect(parameters[4]).toBe(1);
  });

  it("knows by the controller's answers whether it scans", () => {
    const wire = new Wire();
    const scan = new ScanControlTransport(wire);
    let answers = 0;
    scan.onPacket(() => {});
    scan.onAnswer(() => answers++);
    scan.write(enable(0));
    scan.write(enable(1));
    wire.deliver(answer(0));
    expect(scan.scanning).toBe(false);
    wire.deliver(answer(0x0c));
    expect([scan.scanning, scan.lastStatus, answers]).toEqual([false, 0x0c, 2]);
    expect(() => checkScanStatus(scan.lastStatus)).toThrow('0xc');
    scan.write(enable(1));
    wire.deliver(answer(0));
    expect(scan.scanning).toBe(true);
    expect(() => checkScanStatus(scan.lastStatus)).not.toThrow();
    wire.deliver(Uint8Array.of(4, 0x3e, 12, 2, 1, 3, 0, 6, 5, 4, 3, 2, 1, 0, 200));
    expect(scan.reports).toBe(1);
  });
});
