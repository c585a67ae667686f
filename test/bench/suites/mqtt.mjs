import { openMqttNamespace } from '@rdv/gateway/namespaces/mqtt';
import { openEmbeddedBroker } from '@rdv/gateway/server/embedded-broker';
import { systemRandom } from '@rdv/hardware/host/system';
import { HandshakeState } from '@rdv/protocol/noise/handshake-state';
import { x25519KeyPair } from '@rdv/protocol/primitives/primitives-node';
import { connectAsync } from 'mqtt';
import { around, keepPublished } from '../publications.mjs';

export const title = 'Conversations over MQTT (broker, publisher and responder in one process), beside bare mqtt.js';

export async function open() {
  // RDV_BENCH_BROKER names the port of another broker on this machine.
  const outside = Number(process.env.RDV_BENCH_BROKER ?? 0);
  const broker = outside ? undefined : await openEmbeddedBroker();
  const target = { protocol: 'mqtt', host: '127.0.0.1', port: broker?.port ?? outside, version: broker ? 4 : 5 };
  const namespace = async () => {
    const opened = await openMqttNamespace({ ...around, target });
    await opened.firstAttempt;
    return opened;
  };
  const [one, two] = [await namespace(), await namespace()];

  const published = keepPublished([one]);

  const bare = await Promise.all(
    [1, 2].map(() => connectAsync(`mqtt://127.0.0.1:${target.port}`, { protocolVersion: target.version })),
  );
  for (const client of bare) client.stream.setNoDelay(true);
  let answered = () => {};
  bare[0].on('message', (_topic, payload) => answered(payload));
  bare[1].on('message', (topic, payload) => {
    if (topic === 'bench/there') bare[1].publish('bench/back', payload, { qos: 1 });
  });
  await bare[0].subscribeAsync('bench/back', { qos: 1 });
  await bare[1].subscribeAsync('bench/there', { qos: 1 });

  const [there, back] = [systemRandom(16), systemRandom(16)];
  let framed = () => {};
  await one.subscribe(there, (frame) => void one.send(back, frame)).ready;
  await two.subscribe(back, () => framed()).ready;
  const frame = systemRandom(200);

  // The floor: the same handshake's bytes over bare mqtt.js; no look-up, key derivation, store or padding.
  const staticKeys = x25519KeyPair(systemRandom(32));
  const handshake = { pattern: 'NKpsk0', random: systemRandom, psks: [systemRandom(32)] };
  bare[1].on('message', (topic, payload) => {
    if (topic !== 'bench/hello') return;
    const theirs = new HandshakeState({ ...handshake, role: 'responder', staticKeys });
    theirs.readMessage(payload);
    bare[1].publish('bench/back', Buffer.from(theirs.writeMessage(new Uint8Array(0))), { qos: 1 });
  });
  await bare[1].subscribeAsync('bench/hello', { qos: 1 });
  const bareHandshake = 'bare mqtt.js at QoS 1: NKpsk0, connected before';
  const bareEcho = 'bare mqtt.js: 200 B there and back at QoS 1';

  return {
    cases: [
      {
        name: bareHandshake,
        unit: 'handshake',
        run: async () => {
          const ours = new HandshakeState({ ...handshake, role: 'initiator', remoteStatic: staticKeys.publicKey });
          const answer = new Promise((resolve) => {
            answered = resolve;
          });
          bare[0].publish('bench/hello', Buffer.from(ours.writeMessage(new Uint8Array(0))), { qos: 1 });
          ours.readMessage(await answer);
        },
      },
      {
        name: 'conversation opened, connected before',
        unit: 'conversation',
        floor: bareHandshake,
        run: () => published.meet(two),
      },
      {
        name: 'conversation opened, from cold: connection included',
        unit: 'conversation',
        floor: bareHandshake,
        run: async () => {
          const cold = await openMqttNamespace({ ...around, target });
          await published.meet(cold);
          await cold.close();
        },
      },
      {
        name: 'frame of 200 B there and back',
        unit: 'round trip',
        floor: bareEcho,
        run: () =>
          new Promise((resolve) => {
            framed = resolve;
            void two.send(there, frame);
          }),
      },
      {
        name: bareEcho,
        unit: 'round trip',
        run: () =>
          new Promise((resolve) => {
            answered = resolve;
            bare[0].publish('bench/there', Buffer.from(frame), { qos: 1 });
          }),
      },
    ],
    close: async () => {
      await published.close();
      await Promise.all([one.close(), two.close(), ...bare.map((client) => client.endAsync(true))]);
      await broker?.close();
    },
  };
}
