import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { FrameOpener, FrameSealer } from '@rdv/protocol/conversation/frame';
import { openConversation } from '@rdv/protocol/conversation/open';
import { sasCommitment } from '@rdv/protocol/conversation/sas';
import { silentLogger } from '@rdv/protocol/core/logger-silent';
import { MemoryNamespace } from '@rdv/protocol/namespace/memory';
import { MemoryHub } from '@rdv/protocol/namespace/memory-hub';

export const title = 'Conversations: frames, and throughput over memory';

const clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  schedule(delayMs, run) {
    const timer = setTimeout(run, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
};
const random = (length) => new Uint8Array(randomBytes(length));

const SUITE = 'chacha20-poly1305';
const TAG = { authTagLength: 16 };
const nonce = new Uint8Array(12);

function bareRoundTrip(key, aad, plaintext) {
  const seal = createCipheriv(SUITE, key, nonce, TAG);
  seal.setAAD(aad, { plaintextLength: plaintext.length });
  const sealed = seal.update(plaintext);
  seal.final();
  const open = createDecipheriv(SUITE, key, nonce, TAG);
  open.setAAD(aad, { plaintextLength: plaintext.length });
  open.setAuthTag(seal.getAuthTag());
  const opened = open.update(sealed);
  open.final();
  return opened;
}

function openPair() {
  const hub = new MemoryHub({ clock });
  const [a, b, h, seed, r] = [random(32), random(32), random(32), random(32), random(32)];
  const end = (role, sendKey, receiveKey, sas) =>
    openConversation({
      role,
      secrets: { sendKey: sendKey.slice(), receiveKey: receiveKey.slice(), channelBinding: h, seed: seed.slice() },
      sas,
      namespaces: [new MemoryNamespace(hub)],
      clock,
      random,
      log: silentLogger,
    });
  const publisher = end('publisher', a, b, sasCommitment(r));
  const responder = end('responder', b, a, r);
  void (async () => {
    for await (const message of publisher) if (message.length === 1) await publisher.send(message);
  })().catch(() => {});
  const answers = responder[Symbol.asyncIterator]();
  return { publisher, responder, answers };
}

export async function open() {
  const cases = [20, 200, 1400, 16_384].flatMap((length) => {
    const [key, queue] = [random(32), random(16)];
    const sealer = new FrameSealer(key, queue, random(8));
    const opener = new FrameOpener(key, queue);
    const plaintext = random(length);
    const bare = `bare node:crypto: ${length} B sealed and opened`;
    return [
      {
        name: `frame of ${length} B sealed and opened`,
        unit: 'frame',
        floor: bare,
        run: () => opener.open(sealer.seal(plaintext)),
      },
      { name: bare, unit: 'frame', run: () => bareRoundTrip(key, queue, plaintext) },
    ];
  });
  const pair = openPair();
  for (const [length, batch] of [
    [20, 500],
    [200, 500],
    [1400, 200],
    [16_384, 50],
  ]) {
    const message = random(length);
    cases.push({
      name: `message of ${length} B sent and acknowledged, ${batch} at once`,
      batch,
      run: () => Promise.all(Array.from({ length: batch }, () => pair.responder.send(message))),
    });
  }
  const one = random(1);
  cases.push({
    name: 'question and answer of 1 B',
    run: async () => {
      void pair.responder.send(one);
      await pair.answers.next();
    },
  });
  const large = random(16 * 1024 * 1024);
  cases.push({ name: 'message of 16 MiB', run: () => pair.responder.send(large) });
  return {
    cases,
    close: async () => {
      await Promise.all([pair.responder.close(), pair.publisher.close()]);
    },
  };
}
