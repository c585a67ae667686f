import { lookupMac } from '@rdv/protocol/link/node-proof';
import type { Namespace } from '@rdv/protocol/namespace/port';
import { describe, expect, it } from 'vitest';
import { namespaceContract } from '../contract/namespace.js';
import { bytes, testOwner, testRecord } from '../contract/records.js';
import { sniffed, until } from '../protocol/link/rig.js';
import { beaconRig, nodeKey } from './rig.js';

/** The publisher in its process, two visitors over the air. */
async function contractRig() {
  const { around, beacon, visit } = beaconRig();
  const visitors = [await visit(), await visit(185)];
  await until(() => visitors.every(({ visitor }) => visitor.state === 'up'));
  return {
    clients: [visitors[0]!.visitor, beacon, visitors[1]!.visitor] as unknown as readonly [
      Namespace,
      Namespace,
      Namespace,
    ],
    until,
    settle: async () => {
      for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
    },
    nowSeconds: () => Math.floor(around.clock.now() / 1000),
    close: async () => {
      for (const { visitor } of visitors) await visitor.close();
      await beacon.close();
    },
  };
}

namespaceContract('beacon and two visitors', contractRig, { storesRecords: false });

function record(hour: number, options: Partial<Parameters<typeof testRecord>[0]> = {}) {
  return testRecord({ id: bytes(32), owner: testOwner(), seq: 1, notAfter: hour, ...options });
}

describe('look-ups', () => {
  it('answers who knows the lookup key, and nobody who knows only the id', async () => {
    const { beacon, visit, connect, hour } = beaconRig();
    const query = { id: bytes(32), lookupKey: bytes(32) };
    const published = record(hour(), { id: query.id });
    await beacon.put(published, { lookupKey: query.lookupKey });
    const { visitor, pipes } = await visit();
    const heard: Uint8Array[] = [];
    await visitor.watch(query, (one) => heard.push(one)).answered;
    expect(heard).toEqual([published]);
    const strangers: Uint8Array[] = [];
    await visitor.watch({ ...query, lookupKey: bytes(32) }, (one) => strangers.push(one)).answered;
    expect(strangers).toEqual([]);
    // A look-up heard on another link is worth nothing on this one.
    const { link } = await connect('visitor');
    await link.get({ kind: 'keyed', mac: lookupMac(query.lookupKey, bytes(32)) }, (one) => strangers.push(one))
      .answered;
    await expect(link.get({ kind: 'id', id: query.id }, () => {}).answered).rejects.toMatchObject({
      code: 'unsupported',
    });
    expect(strangers).toEqual([]);
    for (const secret of [query.id, published.subarray(40, 80)]) expect(sniffed(pipes, secret)).toBe(false);
  });

  it('tells an open look-up of replacement and tombstone', async () => {
    const { beacon, visit, hour } = beaconRig();
    const query = { id: bytes(32), lookupKey: bytes(32) };
    const owner = testOwner();
    const { visitor } = await visit();
    const heard: Uint8Array[] = [];
    await visitor.watch(query, (one) => heard.push(one)).answered;
    const versions = [1, 2, 3].map((seq) =>
      record(hour(), { id: query.id, owner, seq, sealedBytes: seq === 3 ? 0 : 512 }),
    );
    await beacon.put(versions[0]!, { lookupKey: query.lookupKey });
    await beacon.put(versions[1]!, { lookupKey: query.lookupKey });
    // The tombstone reaches the same readers without being told the key again.
    await beacon.put(versions[2]!);
    await until(() => heard.length === 3);
    expect(heard).toEqual(versions);
    await expect(beacon.put(versions[1]!)).rejects.toMatchObject({ code: 'quota' });
  });

  it('forgets what has expired', async () => {
    const { around, beacon, visit, hour } = beaconRig();
    const query = { id: bytes(32), lookupKey: bytes(32) };
    await beacon.put(record(hour(), { id: query.id }), { lookupKey: query.lookupKey });
    await around.clock.advance(3_601_000);
    const { visitor } = await visit();
    const heard: Uint8Array[] = [];
    await visitor.watch(query, (one) => heard.push(one)).answered;
    expect(heard).toEqual([]);
  });
});

describe('bridging', () => {
  function gatewayHandlers() {
    const log: string[] = [];
    const name = (array: Uint8Array): string => Buffer.from(array).toString('hex').slice(0, 8);
    return {
      log,
      name,
      handlers: {
        onPut: (one: Uint8Array) => void log.push(`put ${name(one.subarray(-8))}`),
        onSub: (queue: Uint8Array) => void log.push(`sub ${name(queue)}`),
        onUnsub: (queue: Uint8Array) => void log.push(`unsub ${name(queue)}`),
        onSend: (queue: Uint8Array, frame: Uint8Array) => void log.push(`send ${name(queue)} ${name(frame)}`),
      },
    };
  }
  const quiet = async (): Promise<void> => {
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
  };

  it.each([
    ['none', false, false],
    ['trusted', false, true],
    ['any', true, true],
  ] as const)('bridge: %s', async (bridge, offeredToAny, offeredToTrusted) => {
    const key = nodeKey();
    for (const proves of [false, true]) {
      const { beacon, connect, hour } = beaconRig({ trustedKeys: [key.publicKey] });
      const { log, name, handlers } = gatewayHandlers();
      const [published, inbox, reply, frame] = [record(hour()), bytes(16), bytes(16), bytes(50)];
      await beacon.put(published, { lookupKey: bytes(32), bridge });
      beacon.subscribe(inbox, () => {});
      await beacon.send(reply, frame);
      expect(beacon.wantsBridging).toBe(bridge !== 'none');
      expect(beacon.hasMail).toBe(bridge !== 'none');
      const { link } = await connect('gateway', handlers);
      if (proves) await link.prove(key);
      await quiet();
      // SUB comes before the SEND that needs it.
      const everything = [
        `sub ${name(inbox)}`,
        `put ${name(published.subarray(-8))}`,
        `send ${name(reply)} ${name(frame)}`,
      ];
      const offered = proves ? offeredToTrusted : offeredToAny;
      expect(log).toEqual(offered ? everything : []);
      expect(beacon.hasMail).toBe(bridge !== 'none' && !offered);
    }
  });

  it('offers a visitor nothing, whatever it proves', async () => {
    const key = nodeKey();
    const { beacon, connect, hour } = beaconRig({ trustedKeys: [key.publicKey] });
    const { log, handlers } = gatewayHandlers();
    await beacon.put(record(hour()), { bridge: 'any' });
    const { link } = await connect('visitor', handlers);
    await link.prove(key);
    await quiet();
    expect(log).toEqual([]);
  });

  it('keeps a queue to itself whose publication is not to be bridged', async () => {
    const { beacon, connect, hour } = beaconRig();
    const { log, name, handlers } = gatewayHandlers();
    await beacon.put(record(hour()), { bridge: 'any' });
    const [open, closed] = [bytes(16), bytes(16)];
    beacon.subscribe(closed, () => {}, { bridge: 'none' });
    beacon.subscribe(open, () => {}, { bridge: 'any' });
    await beacon.send(bytes(16), bytes(9), { bridge: 'none' });
    await connect('gateway', handlers);
    await quiet();
    expect(log.filter((line) => line.startsWith('sub'))).toEqual([`sub ${name(open)}`]);
    expect(log.filter((line) => line.startsWith('send'))).toEqual([]);
  });

  it('carries frames both ways while the gateway is there, and gives up interest', async () => {
    const { beacon, connect, hour } = beaconRig();
    const { log, name, handlers } = gatewayHandlers();
    await beacon.put(record(hour()), { bridge: 'any' });
    const { link, served } = await connect('gateway', handlers);
    await quiet();
    log.length = 0;
    const [queue, reply] = [bytes(16), bytes(16)];
    const heard: Uint8Array[] = [];
    const subscription = beacon.subscribe(queue, (frame) => heard.push(frame));
    await until(() => log.length === 1);
    const [down, up] = [bytes(30), bytes(31)];
    await link.deliver(queue, down);
    await beacon.send(reply, up);
    await until(() => heard.length === 1 && log.length === 2);
    expect(heard).toEqual([down]);
    subscription.close();
    await until(() => log.length === 3);
    expect(log).toEqual([`sub ${name(queue)}`, `send ${name(reply)} ${name(up)}`, `unsub ${name(queue)}`]);
    expect(served.state).toBe('open');
  });

  it('keeps mail for the next gateway when one goes without acknowledging, in order, once', async () => {
    const { beacon, connect, hour } = beaconRig();
    await beacon.put(record(hour()), { bridge: 'any' });
    const first = await connect('gateway', { onPut: () => {}, onSend: () => new Promise(() => {}) });
    await quiet();
    const sent = [1, 2, 3].map((i) => beacon.send(bytes(16, i), bytes(4, i)));
    await quiet();
    first.pipes.cut();
    await quiet();
    expect(beacon.hasMail).toBe(true);
    const { log, handlers } = gatewayHandlers();
    await connect('gateway', handlers);
    await Promise.all(sent);
    expect(log.filter((line) => line.startsWith('send'))).toEqual(
      [1, 2, 3].map((i) => `send ${`0${i}`.repeat(4)} ${`0${i}`.repeat(4)}`),
    );
    expect(beacon.hasMail).toBe(false);
  });

  it('bounds mail by number and age, and tells when it comes and goes', async () => {
    const { around, beacon, connect, hour } = beaconRig({ outbox: { maxFrames: 3, ttlMs: 60_000 } });
    await beacon.put(record(hour()), { bridge: 'any' });
    await connect('gateway', gatewayHandlers().handlers).then(async ({ link }) => {
      await quiet();
      link.close();
      await quiet();
    });
    const changes: boolean[] = [];
    beacon.onMail((has) => changes.push(has));
    for (let i = 0; i < 5; i++) await beacon.send(bytes(16), bytes(4, i));
    expect(changes).toEqual([true]);
    const { log, handlers } = gatewayHandlers();
    const second = await connect('gateway', handlers);
    await until(() => log.filter((line) => line.startsWith('send')).length === 3);
    expect(log.filter((line) => line.startsWith('send')).map((line) => line.slice(-8))).toEqual([
      '02020202',
      '03030303',
      '04040404',
    ]);
    await until(() => changes.length === 2);
    second.link.close();
    await quiet();
    await beacon.send(bytes(16), bytes(4));
    await around.clock.advance(61_000);
    expect(beacon.hasMail).toBe(false);
  });

  it('does not bother a bridge with what a visitor here has taken', async () => {
    const { beacon, connect, hour } = beaconRig();
    const { log, handlers } = gatewayHandlers();
    await beacon.put(record(hour()), { bridge: 'any' });
    await connect('gateway', handlers);
    const got: Uint8Array[] = [];
    const { link } = await connect('visitor', { onDeliver: (_, frame) => void got.push(frame) });
    const queue = bytes(16);
    await link.subscribe(queue);
    const frame = bytes(8);
    await beacon.send(queue, frame);
    await quiet();
    expect(got).toEqual([frame]);
    expect(log.filter((line) => line.startsWith('send'))).toEqual([]);
  });

  it('shows its own node key only to gateways that proved a trusted one: strangers cannot tell beacons apart by it', async () => {
    const [trusted, own] = [nodeKey(), nodeKey()];
    const { connect } = beaconRig({ trustedKeys: [trusted.publicKey], nodeKey: own });
    const { link, pipes } = await connect('gateway');
    await quiet();
    const proofs = (): number =>
      pipes.seen.filter(({ direction, packet }) => direction === 'b>a' && packet.length >= 99).length;
    await expect(link.prove(nodeKey())).rejects.toMatchObject({ code: 'not-authorized' });
    await quiet();
    expect(proofs()).toBe(0);
    await link.prove(trusted);
    await quiet();
    expect(proofs()).toBe(1);
  });

  it('takes mirrored records from trusted gateways only, and checks them', async () => {
    const key = nodeKey();
    const { beacon, connect, hour } = beaconRig({ trustedKeys: [key.publicKey] });
    const id = bytes(32);
    const heard: Uint8Array[] = [];
    beacon.watch({ id }, (one) => heard.push(one));
    const { link } = await connect('gateway');
    const mirrored = record(hour(), { id });
    await expect(link.put(mirrored)).rejects.toMatchObject({ code: 'not-authorized' });
    await link.prove(key);
    const forged = mirrored.slice();
    forged[forged.length - 1]! ^= 1;
    await expect(link.put(forged)).rejects.toMatchObject({ code: 'authentication-failed' });
    await expect(link.put(record(hour() - 8000, { id }))).rejects.toMatchObject({ code: 'expired' });
    await expect(link.put(bytes(300))).rejects.toMatchObject({ code: 'malformed' });
    await link.put(mirrored);
    await until(() => heard.length > 0);
    expect(heard).toEqual([mirrored]);
  });
});

describe('slots', () => {
  it('keeps one free of gateways and answers who finds none', async () => {
    const { beacon, connect } = beaconRig({ slots: () => 3 });
    const [one, two] = [await connect('gateway'), await connect('gateway')];
    const third = await connect('gateway');
    await until(() => third.link.state === 'closed');
    const reasons: unknown[] = [];
    third.link.onClose((reason) => reasons.push(reason));
    expect(reasons).toMatchObject([{ code: 'busy', retryAfterMs: 5000 }]);
    const visitor = await connect('visitor');
    await visitor.link.subscribe(bytes(16));
    const late = await connect('visitor');
    await until(() => late.link.state === 'closed');
    expect([one, two, visitor].map(({ link }) => link.state)).toEqual(['open', 'open', 'open']);
    one.link.close();
    await until(() => beacon.visitors === 2);
    const again = await connect('visitor');
    await again.link.subscribe(bytes(16));
  });

  it('frees the slot of who asks nothing', async () => {
    const { around, beacon, connect } = beaconRig({ idleMs: 10_000 });
    await connect('visitor');
    await around.clock.advance(10_001);
    await until(() => beacon.visitors === 0);
  });

  it('meters each link by itself', async () => {
    const { beacon, connect } = beaconRig({ metering: { frames: { burst: 5, perSecond: 1 } } });
    const [greedy, modest] = [await connect('visitor'), await connect('visitor')];
    const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => greedy.link.send(bytes(16), bytes(4))));
    expect(outcomes.filter(({ status }) => status === 'rejected').length).toBe(3);
    await modest.link.send(bytes(16), bytes(4));
    expect(beacon.visitors).toBe(2);
  });

  it('bounds what it holds for a central that does not acknowledge', async () => {
    const { connect } = beaconRig();
    let release = (): void => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    let delivered = 0;
    const slow = await connect('visitor', {
      onDeliver: () => {
        delivered++;
        return gate;
      },
    });
    const flood = await connect('visitor');
    const queue = bytes(16);
    await slow.link.subscribe(queue);
    // The sender is not told whether anybody reads the queue, nor how slowly.
    for (let i = 0; i < 100; i++) await flood.link.send(queue, bytes(16_000));
    release();
    for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
    expect(delivered).toBeGreaterThan(0);
    expect(delivered * 16_000).toBeLessThanOrEqual(512 * 1024);
    await flood.link.send(queue, bytes(16));
    expect(slow.link.state).toBe('open');
  });
});
