/** Publisher and responder who start in the same moment, and how many round trips they need. */
import { openMqttNamespace } from '@rdv/gateway/namespaces/mqtt';
import { MemoryStore } from '@rdv/protocol/core/memory-store';
import type { Namespace } from '@rdv/protocol/namespace/port';
import { publish } from '@rdv/protocol/rendezvous/publish';
import type { TagSecret } from '@rdv/protocol/tag/derived';
import { afterEach, describe, expect, it } from 'vitest';
import { ownMs } from '../support/starved.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { newTag, Stage } from './stage.js';

describe('started in the same moment', () => {
  let stage: Stage;
  afterEach(() => stage.close());

  /** Begins, and goes on by itself. */
  const publishOn = async (tag: TagSecret, namespace: Namespace): Promise<void> => {
    await publish(tag, {}, { ...stage.around, store: new MemoryStore(), namespaces: [namespace] });
  };

  it.each(['publisher', 'responder'])('over MQTT, both with new connections, the %s first, 50 times', async (first) => {
    stage = Stage.real();
    const { port } = await stage.openBroker();
    const connect = () =>
      openMqttNamespace({ ...stage.around, target: { protocol: 'mqtt', host: '127.0.0.1', port, version: 4 } });
    // Loads the client.
    await (await connect()).close();
    let slowest = 0;
    for (let round = 0; round < 50; round++) {
      const tag = await newTag();
      const opened: Namespace[] = [];
      const started = ownMs();
      const publishing = async (): Promise<void> => {
        opened.push(await connect());
        await publishOn(tag, opened.at(-1)!);
      };
      const responding = async (): Promise<void> => {
        opened.push(await connect());
        await stage.respond(tag, [opened.at(-1)!]);
      };
      await Promise.all(first === 'publisher' ? [publishing(), responding()] : [responding(), publishing()]);
      slowest = Math.max(slowest, ownMs() - started);
      await Promise.all(opened.map((namespace) => namespace.close()));
    }
    expect(slowest).toBeLessThan(1000);
  });

  it.each(['publisher', 'responder'])('over GATT, the %s first, 10 times', async (first) => {
    stage = Stage.virtual();
    const kiosk = await stage.kiosk();
    const visitor = await stage.visitor({ lingerMs: 0 });
    for (let round = 0; round < 10; round++) {
      const tag = await newTag();
      const responding = first === 'responder' ? stage.respond(tag, [visitor.ble]) : undefined;
      const publishing = kiosk.publish(tag);
      const conversation = await stage.pass(responding ?? stage.respond(tag, [visitor.ble]), 1000);
      const publication = await publishing;
      await stage.pass(conversation.close());
      await stage.pass(publication.close());
      kiosk.role.withdraw(publication.handle);
      await stage.until(() => kiosk.role.namespace.visitors === 0);
    }
  });
});

describe('round trips to the broker', () => {
  let stage: Stage;
  afterEach(() => stage.close());

  const RTT_MS = 80;

  /**
   * The quickest of several openings, in round trips of the responder's: what is left is no waiting of ours. No more
   * of them than until one took fewer than `most`.
   */
  async function roundTrips(warm: boolean, most: number): Promise<number> {
    stage = Stage.real();
    const tag = await newTag();
    const broker = await stage.openBroker();
    const proxy = await TcpProxy.open(broker.port, RTT_MS / 2);
    stage.undo(() => proxy.close());
    const near = await stage.mqtt();
    await publish(tag, {}, { ...stage.around, store: new MemoryStore(), namespaces: [near] });
    const target = { protocol: 'mqtt', host: '127.0.0.1', port: proxy.port, version: 4 } as const;
    let best = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 12 && best >= most; i++) {
      let started = ownMs();
      const namespace = await openMqttNamespace({ ...stage.around, target });
      stage.undo(() => namespace.close());
      if (warm) {
        await namespace.firstAttempt;
        started = ownMs();
      }
      await stage.respond(tag, [namespace]);
      best = Math.min(best, (ownMs() - started) / RTT_MS);
    }
    return best;
  }

  it('are two when connected', async () => {
    expect(await roundTrips(true, 2.4)).toBeLessThan(2.4);
  });

  it('are three when not', async () => {
    expect(await roundTrips(false, 3.4)).toBeLessThan(3.4);
  });
});
