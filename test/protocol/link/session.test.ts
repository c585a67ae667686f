import { createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { RdvError } from '@rdv/protocol/core/errors';
import { lookupMac, nodeProofMessage } from '@rdv/protocol/link/node-proof';
import { type LinkAnswer, type LinkQuery, LinkRefusal, type NodeKey } from '@rdv/protocol/link/peer';
import { expect, it } from 'vitest';
import { linkRig, openRig, random, sniffed, until } from './rig.js';

function nodeKey(): NodeKey {
  const { privateKey } = generateKeyPairSync('ed25519');
  const der = createPublicKey(createPrivateKey(privateKey.export({ format: 'pem', type: 'pkcs8' }))).export({
    format: 'der',
    type: 'spki',
  });
  return {
    publicKey: Uint8Array.from(der.subarray(-32)),
    sign: (message) => Uint8Array.from(sign(null, message, privateKey)),
  };
}

it('exchanges HELLOs and agrees on h', async () => {
  const { a, b } = await openRig({ bOptions: { answers: { keyed: true } } });
  expect(a.binding).toEqual(b.binding);
  expect(a.binding.length).toBe(32);
  expect(a.remote).toMatchObject({ role: 'publisher', answersKeyed: true, answersById: false });
  expect(b.remote).toMatchObject({ role: 'visitor', answersKeyed: false });
  const other = await openRig();
  expect(other.a.binding).not.toEqual(a.binding);
});

it('carries every request, in 20-byte packets too, and shows a sniffer none of it', async () => {
  for (const maxPacketBytes of [20, 185, 244]) {
    const heard: string[] = [];
    const [id, queue, other, record, frame] = [random(32), random(16), random(16), random(700), random(900)];
    const lookupKey = random(32);
    const { a, b, pipes } = await openRig({
      maxPacketBytes,
      a: { onDeliver: (q, f) => void heard.push(`deliver ${hex(q)} ${hex(f)}`) },
      b: {
        onPut: (r) => void heard.push(`put ${hex(r)}`),
        onSub: (q) => void heard.push(`sub ${hex(q)}`),
        onUnsub: (q) => void heard.push(`unsub ${hex(q)}`),
        onSend: async (q, f) => void heard.push(`send ${hex(q)} ${hex(f)}`),
        onGet: (query, answer) => {
          heard.push(query.kind === 'id' ? `get ${hex(query.id)}` : `keyed ${hex(query.mac)}`);
          void answer.record(record);
          answer.end();
          return () => heard.push('cancel');
        },
      },
    });
    const records: Uint8Array[] = [];
    const mac = lookupMac(lookupKey, a.binding);
    await a.put(record);
    await a.subscribe(queue);
    await a.send(other, frame);
    expect(b.holds(queue)).toBe(true);
    await b.deliver(queue, frame);
    const watch = a.get({ kind: 'id', id }, (r) => records.push(r));
    await watch.answered;
    expect(records).toEqual([record]);
    await a.get({ kind: 'keyed', mac }, () => {}).answered;
    a.unsubscribe(queue);
    watch.close();
    await until(() => heard.length === 8);
    expect(heard).toEqual([
      `put ${hex(record)}`,
      `sub ${hex(queue)}`,
      `send ${hex(other)} ${hex(frame)}`,
      `deliver ${hex(queue)} ${hex(frame)}`,
      `get ${hex(id)}`,
      `keyed ${hex(mac)}`,
      `unsub ${hex(queue)}`,
      'cancel',
    ]);
    for (const secret of [id, queue, other, mac, record.subarray(0, 16), frame.subarray(0, 16), a.binding])
      expect(sniffed(pipes, secret)).toBe(false);
    // The hand can see: what it looks for would be found if it were there.
    expect(sniffed(pipes, pipes.seen[0]!.packet.subarray(2))).toBe(true);
  }
});

it('follows the packet size while the MTU grows', async () => {
  const { a, pipes } = await openRig({ maxPacketBytes: 20, b: { onSend: () => {} } });
  await a.send(random(16), random(500));
  expect(Math.max(...pipes.seen.map((one) => one.packet.length))).toBe(20);
  Object.assign(pipes.a, { maxPacketBytes: 244 });
  await a.send(random(16), random(500));
  expect(Math.max(...pipes.seen.map((one) => one.packet.length))).toBe(244);
});

it('delivers in order, each acknowledged, and carries the largest frame', async () => {
  const got: number[] = [];
  const { a } = await openRig({ b: { onSend: (_, frame) => void got.push((frame[0]! << 8) | frame[1]!) } });
  const queue = random(16);
  await Promise.all(Array.from({ length: 500 }, (_, i) => a.send(queue, Uint8Array.of(i >> 8, i & 255, 0))));
  expect(got).toEqual(Array.from({ length: 500 }, (_, i) => i));
  await a.send(queue, random(16_384));
  await expect(a.send(queue, random(16_385))).rejects.toMatchObject({ code: 'too-large' });
});

it('keeps to the number of waiting requests in long runs of small ones, both ways at once', async () => {
  let served = 0;
  const onSend = (): void => {
    served++;
  };
  const { a, b } = await openRig({
    a: { onSend },
    b: { onSend: async () => onSend() },
    aOptions: { limits: { maxRequests: 1 } },
    bOptions: { limits: { maxRequests: 7 } },
  });
  const queue = random(16);
  await Promise.all(Array.from({ length: 2000 }, (_, i) => (i % 4 === 0 ? b : a).send(queue, Uint8Array.of(i & 255))));
  expect(served).toBe(2000);
  expect([a.state, b.state]).toEqual(['open', 'open']);
});

it('passes refusals on with their code and time', async () => {
  const { a, b } = await openRig({
    b: {
      onPut: () => {
        throw new LinkRefusal('busy', 'later', 1500);
      },
      onSend: async () => {
        throw new RdvError('expired', 'too old');
      },
    },
  });
  await expect(a.put(random(100))).rejects.toMatchObject({ code: 'busy', retryAfterMs: 1500 });
  await expect(a.send(random(16), random(5))).rejects.toMatchObject({ code: 'expired' });
  await expect(a.subscribe(random(16))).rejects.toMatchObject({ code: 'unsupported' });
  await expect(a.get({ kind: 'id', id: random(32) }, () => {}).answered).rejects.toMatchObject({ code: 'unsupported' });
  expect([a.state, b.state]).toEqual(['open', 'open']);
});

it('treats unknown queues as known ones', async () => {
  const { a } = await openRig({ b: { onSend: () => {}, onSub: () => {} } });
  const known = random(16);
  await a.subscribe(known);
  for (const queue of [known, random(16)]) {
    await expect(a.send(queue, random(3))).resolves.toBeUndefined();
    await expect(a.subscribe(queue)).resolves.toBeUndefined();
  }
});

it('answers an exhausted quota and works again when it has recovered', async () => {
  const { a, around } = await openRig({
    b: { onSend: () => {} },
    bOptions: { metering: { frames: { burst: 10, perSecond: 1 } } },
  });
  const queue = random(16);
  for (let i = 0; i < 10; i++) await a.send(queue, random(1));
  const refusal: unknown = await a.send(queue, random(1)).catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(LinkRefusal);
  expect(refusal).toMatchObject({ code: 'quota', retryAfterMs: 1000 });
  await around.clock.advance(1000);
  await a.send(queue, random(1));
});

it('bounds subscriptions and look-ups', async () => {
  const { a } = await openRig({
    b: { onSub: () => {}, onGet: answerNothing },
    bOptions: { limits: { maxSubscriptions: 3 } },
  });
  for (let i = 0; i < 3; i++) await a.subscribe(random(16));
  await expect(a.subscribe(random(16))).rejects.toMatchObject({ code: 'quota' });
  for (let i = 0; i < 64; i++) await a.get({ kind: 'id', id: random(32) }, () => {}).answered;
  await expect(a.get({ kind: 'id', id: random(32) }, () => {}).answered).rejects.toMatchObject({ code: 'quota' });
});

it('proves a node key, and only a trusted one, for this link and this end', async () => {
  const [key, stranger] = [nodeKey(), nodeKey()];
  const trusted: string[] = [];
  const { a, b } = await openRig({
    b: { onTrusted: (k) => void trusted.push(hex(k)) },
    bOptions: { trustedKeys: [key.publicKey] },
  });
  await expect(a.prove(stranger)).rejects.toMatchObject({ code: 'not-authorized' });
  expect(b.trustedKey).toBeUndefined();
  // A signature made for the other end, or for another link, is worth nothing.
  const other = await openRig();
  for (const message of [nodeProofMessage('responder', a.binding), nodeProofMessage('initiator', other.a.binding)]) {
    const replay: NodeKey = { publicKey: key.publicKey, sign: () => key.sign(message) };
    await expect(a.prove(replay)).rejects.toMatchObject({ code: 'invalid-argument' });
  }
  await a.prove(key);
  expect(b.trustedKey).toEqual(key.publicKey);
  expect(trusted).toEqual([hex(key.publicKey)]);
});

it('ends on silence: no HELLO, no answer, nothing asked', async () => {
  const silent = linkRig({ meddle: () => [] });
  await silent.around.clock.advance(10_000);
  await expect(silent.b.opened).rejects.toMatchObject({ code: 'timeout' });
  await expect(silent.a.opened).rejects.toMatchObject({ code: 'closed' });

  const stuck = await openRig({ b: { onSend: () => new Promise(() => {}) } });
  const sent = stuck.a.send(random(16), random(1));
  sent.catch(() => {});
  await stuck.around.clock.advance(31_000);
  await expect(sent).rejects.toMatchObject({ code: 'timeout' });
  expect(stuck.b.state).toBe('closed');

  const idle = await openRig({ b: { onSend: () => {} }, bOptions: { idleMs: 5000 } });
  await idle.around.clock.advance(4000);
  await idle.a.send(random(16), random(1));
  await idle.around.clock.advance(4000);
  expect(idle.b.state).toBe('open');
  await idle.around.clock.advance(1001);
  expect([idle.a.state, idle.b.state]).toEqual(['closed', 'closed']);
});

it('rejects what is pending when it is closed, and gives held queues back', async () => {
  const given: string[] = [];
  const { a, b, pipes } = await openRig({
    b: { onSend: () => new Promise(() => {}), onSub: () => {}, onUnsub: (queue) => void given.push(hex(queue)) },
  });
  const queue = random(16);
  await a.subscribe(queue);
  const pending = [a.send(random(16), random(1)), b.deliver(queue, random(4))];
  const settled = Promise.allSettled(pending);
  a.close();
  await until(() => b.state === 'closed');
  expect((await settled).map((one) => one.status)).toEqual(['rejected', 'rejected']);
  expect(given).toEqual([hex(queue)]);
  await expect(a.put(random(10))).rejects.toMatchObject({ code: 'canceled' });
  const reasons: string[] = [];
  b.onClose((reason) => reasons.push(reason.code));
  expect(reasons).toEqual(['closed']);
  pipes.cut();
});

function answerNothing(_: LinkQuery, answer: LinkAnswer): () => void {
  answer.end();
  return () => {};
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
