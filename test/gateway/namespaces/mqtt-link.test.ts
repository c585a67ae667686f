/** The lasting link over connections that the test plays: order, windows, back-off, versions, in virtual time. */
import type { MqttConnection, MqttConnectOptions, MqttEvents } from '@rdv/gateway/namespaces/mqtt-client';
import { MqttLink } from '@rdv/gateway/namespaces/mqtt-link';
import type { LinkSubscription } from '@rdv/gateway/namespaces/mqtt-link-api';
import type { BrokerNode } from '@rdv/gateway/namespaces/mqtt-target';
import { RdvError } from '@rdv/protocol/core/errors';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import { VirtualClock } from '@rdv/protocol/core/virtual-clock';
import { describe, expect, it } from 'vitest';

interface Played {
  readonly options: MqttConnectOptions;
  readonly events: MqttEvents;
  /** What was asked of the connection, in order. */
  readonly log: string[];
  /** Acknowledges, or fails, the oldest publish. */
  ack(error?: RdvError): Promise<void>;
  readonly unacked: number;
}

const gone = () => new RdvError('unreachable', 'gone');
const session = { receiveMaximum: 3, maxPacketBytes: 100_000, retainAvailable: true };

function rig(version: 4 | 5 | 'auto' = 5, random = 0, others: readonly BrokerNode[] = []) {
  const clock = new VirtualClock();
  const connections: Played[] = [];
  const codes = new Map<string, number>();
  const connect = (options: MqttConnectOptions, events: MqttEvents): MqttConnection => {
    const log: string[] = [];
    const pending: { resolve: () => void; reject: (error: unknown) => void }[] = [];
    connections.push({
      options,
      events,
      log,
      ack: async (error) => {
        const next = pending.shift();
        if (error) next?.reject(error);
        else next?.resolve();
        await clock.advance(0);
      },
      get unacked() {
        return pending.length;
      },
    });
    return {
      subscribe: async (filters) => {
        log.push(`subscribe ${filters.join(' ')}`);
        return filters.map((filter) => codes.get(filter) ?? 1);
      },
      unsubscribe: (filter) => void log.push(`unsubscribe ${filter}`),
      publish: (topic) => {
        log.push(`publish ${topic}`);
        return new Promise((resolve, reject) => pending.push({ resolve, reject }));
      },
      roundTrip: async () => {},
      close: async () => void log.push('close'),
    };
  };
  const heard: string[] = [];
  const link = new MqttLink({
    clock,
    random: (length) => new Uint8Array(length).fill(random),
    log: silentLogger,
    connect,
    version,
    others,
    target: {
      name: 'mqtt://b',
      protocol: 'mqtt',
      host: 'b',
      port: 1,
      clientId: 'x',
      sessionSeconds: 0,
      keepaliveSeconds: 30,
      connectTimeoutMs: 1,
      maxPacketBytes: 1,
    },
    events: {
      onUp: () => heard.push('up'),
      onDown: () => heard.push('down'),
      onMessage: () => {},
    },
  });
  link.start();
  const publish = (topic: string, keep: boolean, extra: object = {}) => {
    const message = { topic, payload: new Uint8Array(10), retain: keep, keep, expirySeconds: () => 60, ...extra };
    const result = link.publish(message);
    result.catch(() => {});
    return result;
  };
  const subscription = (filter: string): LinkSubscription & { refused?: RdvError } => {
    const made: LinkSubscription & { refused?: RdvError } = {
      filter,
      onHeld: () => {},
      onRefused: (error) => {
        made.refused = error;
      },
    };
    return made;
  };
  return { clock, connections, codes, heard, link, publish, subscription };
}

describe('MqttLink', () => {
  it('writes subscriptions before CONNACK, publications after it, all in call order', async () => {
    const { connections, link, publish, subscription } = rig();
    link.subscribe(subscription('a'));
    link.subscribe(subscription('b'));
    void publish('p', true);
    link.subscribe(subscription('c'));
    expect(connections[0]!.log).toEqual(['subscribe a', 'subscribe b']);
    connections[0]!.events.onUp(session);
    expect(connections[0]!.log).toEqual(['subscribe a', 'subscribe b', 'publish p', 'subscribe c']);
  });

  it('goes to another node of the cluster when one is gone, and round again', async () => {
    const others = [
      { host: 'c', port: 2 },
      { host: 'd', port: 3 },
    ];
    const { clock, connections } = rig(5, 0, others);
    for (let i = 0; i < 4; i++) {
      if (i % 2 === 0) connections[i]!.events.onUp(session);
      connections[i]!.events.onDown(gone(), undefined);
      await clock.advance(20_000);
    }
    expect(connections.map(({ options: { host, port } }) => `${host}:${port}`)).toEqual([
      'b:1',
      'c:2',
      'd:3',
      'b:1',
      'c:2',
    ]);
    expect(new Set(connections.map(({ options }) => options.name)).size).toBe(1);
  });

  it('keeps to the window that the broker sets', async () => {
    const { connections, publish } = rig();
    const [connection] = connections as [Played];
    connection.events.onUp(session);
    for (let i = 0; i < 5; i++) void publish(`${i}`, false);
    expect(connection.log).toHaveLength(3);
    await connection.ack();
    expect(connection.log).toEqual(['publish 0', 'publish 1', 'publish 2', 'publish 3']);
  });

  it('says everything again on the next connection but what may not be repeated', async () => {
    const { clock, connections, link, publish, subscription, heard } = rig();
    connections[0]!.events.onUp(session);
    const closed = subscription('closed');
    link.subscribe(closed);
    link.subscribe(subscription('a'));
    const kept = publish('kept', true);
    const lost = publish('lost', false);
    link.unsubscribe(closed);
    connections[0]!.events.onDown(gone(), undefined);
    await expect(lost).rejects.toMatchObject({ code: 'unreachable' });
    await expect(publish('refused while down', false)).rejects.toMatchObject({ code: 'unreachable' });
    await clock.advance(1000);
    expect(connections).toHaveLength(2);
    connections[1]!.events.onUp(session);
    expect(connections[1]!.log).toEqual(['subscribe a', 'publish kept']);
    await connections[1]!.ack();
    await kept;
    expect(heard).toEqual(['up', 'down', 'up']);
  });

  it.each([
    ['least', 0, 0.5],
    ['most', 255, 1],
  ])('waits longer and longer, up to 15 s, with %s jitter', async (_name, random, part) => {
    const { clock, connections } = rig(5, random);
    const delays: number[] = [];
    for (let i = 0; i < 9; i++) {
      const at = clock.monotonic();
      connections[i]!.events.onDown(gone(), undefined);
      await clock.advanceUntil(() => connections.length > i + 1, 60_000);
      delays.push(Math.round((clock.monotonic() - at) / part / 10) * 10);
    }
    expect(delays).toEqual([500, 1000, 2000, 4000, 8000, 15000, 15000, 15000, 15000]);
  });

  it('begins with short waits again after a steady connection', async () => {
    const { clock, connections } = rig();
    for (let i = 0; i < 6; i++) {
      connections[i]!.events.onDown(gone(), undefined);
      await clock.advance(15_000);
    }
    connections[6]!.events.onUp(session);
    await clock.advance(10_000);
    connections[6]!.events.onDown(gone(), undefined);
    await clock.advance(126);
    expect(connections).toHaveLength(8);
  });

  it('tries MQTT 3.1.1 at once where MQTT 5 is refused, and stays with it', async () => {
    const { clock, connections, heard } = rig('auto');
    connections[0]!.events.onDown(gone(), 'wrong-version');
    await clock.advance(0);
    connections[1]!.events.onUp(session);
    connections[1]!.events.onDown(gone(), undefined);
    await clock.advance(1000);
    connections[2]!.events.onDown(gone(), 'cut');
    await clock.advance(2000);
    expect(connections.map(({ options }) => options.version)).toEqual([5, 4, 4, 4]);
    expect(heard).toEqual(['up', 'down', 'down']);
  });

  it('goes through both versions, and waits for CONNACK, with a broker that hangs up', async () => {
    const { clock, connections, link, subscription } = rig('auto');
    link.subscribe(subscription('a'));
    connections[0]!.events.onDown(gone(), 'cut');
    await clock.advance(1000);
    connections[1]!.events.onDown(gone(), 'cut');
    await clock.advance(2000);
    expect(connections.map(({ options }) => options.version)).toEqual([5, 4, 5]);
    expect(connections.map(({ log }) => log)).toEqual([['subscribe a'], [], []]);
  });

  it('forgets a subscription that is refused, and says why', async () => {
    const { clock, codes, connections, link, subscription } = rig();
    connections[0]!.events.onUp(session);
    codes.set('no', 135);
    const no = subscription('no');
    link.subscribe(no);
    await clock.advance(0);
    expect(no.refused).toMatchObject({ code: 'not-authorized' });
    connections[0]!.events.onDown(gone(), undefined);
    await clock.advance(1000);
    connections[1]!.events.onUp(session);
    expect(connections[1]!.log).toEqual([]);
  });

  it('does not unsubscribe what somebody has subscribed again', async () => {
    const { connections, link, subscription } = rig();
    const [first, second] = [subscription('a'), subscription('a')];
    link.subscribe(first);
    link.unsubscribe(first);
    link.subscribe(second);
    connections[0]!.events.onUp(session);
    expect(connections[0]!.log).toEqual(['subscribe a', 'subscribe a']);
    link.unsubscribe(second);
    expect(connections[0]!.log.at(-1)).toBe('unsubscribe a');
  });

  it('says expired, too large and no retained messages instead of sending', async () => {
    const { connections, publish } = rig();
    connections[0]!.events.onUp({ ...session, maxPacketBytes: 60, retainAvailable: false });
    await expect(publish('p', true, { expirySeconds: () => 0 })).rejects.toMatchObject({ code: 'expired' });
    await expect(publish('p', true)).rejects.toMatchObject({ code: 'unsupported' });
    await expect(publish('p', false, { payload: new Uint8Array(50) })).rejects.toMatchObject({ code: 'too-large' });
    expect(connections[0]!.log).toEqual([]);
  });

  it('bounds what waits', async () => {
    const { publish } = rig();
    for (let i = 0; i < 4096; i++) void publish('p', true);
    await expect(publish('p', true)).rejects.toMatchObject({ code: 'busy' });
  });

  it('waits for what has to be stored first, in call order, and gives up with it', async () => {
    const { clock, connections, publish } = rig();
    connections[0]!.events.onUp(session);
    let stored: () => void = () => {};
    const after = new Promise<void>((resolve) => {
      stored = resolve;
    });
    void publish('first', true, { after });
    const broken = publish('broken', true, { after: Promise.reject(new RdvError('store', 'disk full')) });
    void publish('third', false);
    await expect(broken).rejects.toMatchObject({ code: 'store' });
    expect(connections[0]!.log).toEqual([]);
    stored();
    await clock.advance(0);
    expect(connections[0]!.log).toEqual(['publish first', 'publish third']);
  });

  it('takes back what is aborted, and everything when closed', async () => {
    const { connections, link } = rig();
    const aborter = new AbortController();
    const message = { topic: 'p', payload: new Uint8Array(1), retain: true, keep: true, expirySeconds: () => 60 };
    const aborted = link.publish(message, aborter.signal);
    const waiting = link.publish(message);
    aborter.abort();
    await expect(aborted).rejects.toMatchObject({ code: 'canceled' });
    const closing = link.close();
    await expect(waiting).rejects.toMatchObject({ code: 'canceled' });
    await closing;
    await link.close();
    expect(connections[0]!.log).toEqual(['close']);
    await expect(link.publish(message)).rejects.toMatchObject({ code: 'canceled' });
  });
});
