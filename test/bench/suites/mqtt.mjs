import { randomBytes } from 'node:crypto';
import { openMqttNamespace } from '@rdv/gateway/namespaces/mqtt';
import { openEmbeddedBroker } from '@rdv/gateway/server/embedded-broker';
import { systemClock, systemRandom } from '@rdv/hardware/host/system';
import { openConversation } from '@rdv/protocol/conversation/open';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import { MemoryStore } from '@rdv/protocol/core/memory-store';
import { publish } from '@rdv/protocol/rendezvous/publish';
import { respond } from '@rdv/protocol/rendezvous/respond';
import { TagSecret } from '@rdv/protocol/tag/derived';
import { connectAsync } from 'mqtt';

export const title = 'Conversations over MQTT (broker, publisher and responder in one process), beside bare mqtt.js';

/** A publication answers so many responses in a burst: then the next one takes its turn. */
const RESPONSES_EACH = 90;

export async function open() {
  // RDV_BENCH_BROKER names the port of another broker on this machine.
  const outside = Number(process.env.RDV_BENCH_BROKER ?? 0);
  const broker = outside ? undefined : await openEmbeddedBroker();
  const target = { protocol: 'mqtt', host: '127.0.0.1', port: broker?.port ?? outside, version: broker ? 4 : 5 };
  const around = { clock: systemClock, random: systemRandom, log: silentLogger, openConversation };
  const namespace = async () => {
    const opened = await openMqttNamespace({ ...around, target });
    await opened.firstAttempt;
    return opened;
  };
  const [one, two] = [await namespace(), await namespace()];

  let tag;
  let publication;
  let left = 0;
  const someTag = async () => {
    if (left-- > 0) return tag;
    await publication?.close();
    tag = new TagSecret(Uint8Array.from(randomBytes(32)));
    publication = await publish(tag, {}, { ...around, store: new MemoryStore(), namespaces: [one] });
    const accepted = publication;
    void (async () => {
      for await (const conversation of accepted) void conversation.close();
    })();
    left = RESPONSES_EACH - 1;
    return tag;
  };
  const meet = async (over) => {
    const conversation = await respond(await someTag(), {}, { ...around, namespaces: [over] });
    void conversation.close();
  };

  const bare = await Promise.all(
    [1, 2].map(() => connectAsync(`mqtt://127.0.0.1:${target.port}`, { protocolVersion: target.version })),
  );
  for (const client of bare) client.stream.setNoDelay(true);
  let answered = () => {};
  bare[0].on('message', () => answered());
  bare[1].on('message', (_topic, payload) => bare[1].publish('bench/back', payload, { qos: 1 }));
  await bare[0].subscribeAsync('bench/back', { qos: 1 });
  await bare[1].subscribeAsync('bench/there', { qos: 1 });

  const [there, back] = [systemRandom(16), systemRandom(16)];
  let framed = () => {};
  await one.subscribe(there, (frame) => void one.send(back, frame)).ready;
  await two.subscribe(back, () => framed()).ready;
  const frame = systemRandom(200);

  return {
    cases: [
      { name: 'conversation opened, connected before', unit: 'conversation', run: () => meet(two) },
      {
        name: 'conversation opened, from cold: connection included',
        unit: 'conversation',
        run: async () => {
          const cold = await openMqttNamespace({ ...around, target });
          await meet(cold);
          await cold.close();
        },
      },
      {
        name: 'frame of 200 B there and back',
        unit: 'round trip',
        run: () =>
          new Promise((resolve) => {
            framed = resolve;
            void two.send(there, frame);
          }),
      },
      {
        name: 'bare mqtt.js: 200 B there and back at QoS 1',
        unit: 'round trip',
        run: () =>
          new Promise((resolve) => {
            answered = resolve;
            bare[0].publish('bench/there', Buffer.from(frame), { qos: 1 });
          }),
      },
    ],
    close: async () => {
      await publication?.close();
      await Promise.all([one.close(), two.close(), ...bare.map((client) => client.endAsync(true))]);
      await broker?.close();
    },
  };
}
