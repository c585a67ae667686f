/** What a bridge's end of the UDP namespace shows of the others on the link (SPEC §9.6, §13.5). */
import { toHex } from '@rdv/protocol/core/bytes';
import { afterEach, describe, expect, it } from 'vitest';
import { bytes, testOwner, testRecord } from '../../contract/records.js';
import { udpRig } from './udp-rig.js';

let rig: ReturnType<typeof udpRig>;
afterEach(() => rig.close());

function published() {
  const query = { id: bytes(32), lookupKey: bytes(32) };
  const record = testRecord({ id: query.id, owner: testOwner(), seq: 1, notAfter: rig.hour() });
  return { id: query.id, record, query };
}

describe('what a bridge on the link sees', () => {
  function observed() {
    rig = udpRig();
    const bridge = rig.end({ gateway: true });
    const seen: string[] = [];
    const short = (array: Uint8Array) => toHex(array.subarray(0, 4));
    const stop = bridge.namespace.observe({
      onLookup: (id) => seen.push(`lookup ${short(id)}`),
      onLookupEnd: (id) => seen.push(`lookup end ${short(id)}`),
      onSub: (queue) => seen.push(`sub ${short(queue)}`),
      onUnsub: (queue) => seen.push(`unsub ${short(queue)}`),
      onPut: (record) => seen.push(`put ${short(record.subarray(-64))}`),
      onSend: (queue) => seen.push(`send ${short(queue)}`),
    });
    return { bridge, seen, stop, short };
  }

  it('is what people hold, look up by id, put for any bridge, and send to nobody here', async () => {
    const { seen, short } = observed();
    const [a, b] = [rig.end(), rig.end()];
    const [queue, nowhere] = [bytes(16), bytes(16)];
    const { id, record, query } = published();
    const subscriptions = [a, b].map(({ namespace }) => namespace.subscribe(queue, () => {}));
    await rig.clock.advance(5);
    await a.namespace.send(queue, bytes(5));
    await a.namespace.send(nowhere, bytes(5));
    const watches = [a, b].map(({ namespace }) => namespace.watch({ id }, () => {}));
    await a.namespace.put(record, { ...query, bridge: 'any' });
    await rig.clock.advance(500);
    for (const { close } of [...watches, ...subscriptions]) close();
    await rig.clock.advance(5);
    expect(seen).toEqual([
      ...[`sub ${short(queue)}`, `send ${short(nowhere)}`, `lookup ${short(id)}`],
      ...[`put ${short(record.subarray(-64))}`, `lookup end ${short(id)}`, `unsub ${short(queue)}`],
    ]);
  });

  it('is nothing of what is kept from it, nor of what bridges ask', async () => {
    const { seen, bridge } = observed();
    const [a, visitor, other] = [rig.end(), rig.end(), rig.end({ gateway: true })];
    const mail: number[] = [];
    for (const policy of ['none', 'trusted'] as const) {
      const queue = bytes(16);
      bridge.namespace.subscribe(queue, (frame) => mail.push(frame[0]!));
      const { record, query } = published();
      await a.namespace.put(record, { ...query, bridge: policy });
      a.namespace.subscribe(bytes(16), () => {}, { bridge: policy });
      // Nothing said: as what was put here says.
      a.namespace.subscribe(bytes(16), () => {});
      await a.namespace.send(queue, Uint8Array.of(1), { bridge: policy });
      // Who answers does not know the policy; that somebody here takes it, the bridge does.
      const inbox = bytes(16);
      a.namespace.subscribe(inbox, () => {}, { bridge: policy });
      await rig.clock.advance(5);
      await visitor.namespace.send(inbox, bytes(5));
    }
    const mine = published();
    other.namespace.subscribe(bytes(16), () => {});
    other.namespace.watch(mine.query, () => {});
    await other.namespace.send(bytes(16), bytes(5));
    await other.namespace.put(mine.record);
    await rig.clock.advance(120_000);
    expect([seen, mail]).toEqual([[], []]);
  });

  it('is told to one that comes later, and forgotten of those who fall silent', async () => {
    rig = udpRig();
    const a = rig.end();
    const { record, query } = published();
    await a.namespace.put(record, { ...query, bridge: 'any' });
    a.namespace.subscribe(bytes(16), () => {});
    a.namespace.watch({ id: bytes(32) }, () => {});
    await rig.clock.advance(20_000);
    const late = rig.end({ gateway: true });
    const seen: string[] = [];
    const note = (what: string) => () => void seen.push(what);
    late.namespace.observe({
      onLookup: note('lookup'),
      onLookupEnd: note('lookup end'),
      onSub: note('sub'),
      onUnsub: note('unsub'),
      onPut: note('put'),
      onSend: note('send'),
    });
    await rig.clock.advance(10_000);
    expect(new Set(seen)).toEqual(new Set(['put']));
    await rig.clock.advance(60_000);
    expect(new Set(seen)).toEqual(new Set(['put', 'sub', 'lookup']));
    a.port.setUp(false);
    await rig.clock.advance(180_000);
    expect(seen.slice(-2).toSorted()).toEqual(['lookup end', 'unsub']);
  });
});
