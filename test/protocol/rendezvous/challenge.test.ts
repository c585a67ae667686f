// Challenges, proofs and the responder filter, SPEC §6.3.
import { utf8 } from '@rdv/protocol/core/bytes';
import type { Signer } from '@rdv/protocol/identity/api';
import { checkProof, makeProof } from '@rdv/protocol/identity/proof';
import { TagSecret } from '@rdv/protocol/tag/derived';
import { describe, expect, it } from 'vitest';
import { certificateOf, certificates, counting, newSigner, patiently, SIGNERS, tagOf } from './identity-rig.js';
import { acceptedBy, Rig } from './rig.js';

async function pair(rig: Rig, publisher?: Signer, responder?: Signer) {
  const publication = await rig.publish({ ...(publisher && { signer: publisher }) });
  const accepted = acceptedBy(publication);
  const asked = await patiently(rig, rig.respond({ ...(responder && { signer: responder }) }));
  await rig.settle(asked.send(utf8('hello')));
  return { publisher: accepted[0]!, responder: asked };
}

describe('a challenge', () => {
  it.each(SIGNERS)('is answered in both directions, any time: %s', async (_name, make) => {
    const rig = new Rig();
    const [a, b] = [make(), newSigner()];
    const ends = await pair(rig, a, b);
    for (let i = 0; i < 2; i++) {
      const trust = await patiently(rig, ends.publisher.challenge());
      expect(trust).toEqual({ level: 'key', expected: false, fingerprint: b.identity.fingerprint, kind: 'ed25519' });
      const policy = { keys: [a.identity.fingerprint] };
      expect(await patiently(rig, ends.responder.challenge({ policy }))).toMatchObject({
        level: 'key',
        expected: true,
        fingerprint: a.identity.fingerprint,
      });
      expect(ends.publisher.trust).toEqual(trust);
    }
    await patiently(rig, ends.responder.send(utf8('still open')));
  });

  it('with certificates, also where the carrier takes short frames only', async () => {
    const rig = new Rig();
    const signer = { ...newSigner(), chain: [] as Uint8Array[] };
    signer.chain = [certificateOf(signer, 2500)];
    const policy = { roots: [Uint8Array.of(1)], certificates };
    const ends = await pair(rig, signer);
    expect(await rig.settle(ends.responder.challenge({ policy }))).toMatchObject({
      level: 'certificate',
      name: 'shop',
    });
    // What is known is not taken away by a question that wants less.
    expect(await rig.settle(ends.responder.challenge())).toMatchObject({ level: 'key', expected: false });
    expect(ends.responder.trust).toMatchObject({ level: 'certificate', name: 'shop' });

    const tight = new Rig();
    acceptedBy(await tight.publish({ signer }, { namespaces: [tight.client({ maxFrameBytes: 1280 })] }));
    const conversation = await tight.settle(tight.respond());
    expect(await tight.settle(conversation.challenge())).toMatchObject({ level: 'key' });
    await expect(tight.settle(conversation.challenge({ policy }))).rejects.toMatchObject({
      reason: 'certificate-required',
    });
  });

  it('is declined without an identity, and fails at once', async () => {
    const rig = new Rig();
    const ends = await pair(rig);
    for (const end of [ends.publisher, ends.responder]) {
      await expect(rig.settle(end.challenge(), 2000)).rejects.toMatchObject({ reason: 'no-identity' });
      expect(end.trust).toEqual({ level: 'anonymous', expected: false });
    }
  });

  it('fails for a key that is not among those named', async () => {
    const rig = new Rig();
    const ends = await pair(rig, newSigner());
    const policy = { keys: [newSigner().identity.fingerprint] };
    await expect(rig.settle(ends.responder.challenge({ policy }))).rejects.toMatchObject({ reason: 'wrong-key' });
    expect(ends.responder.trust.expected).toBe(false);
  });

  it('demands the key of the tag, whatever the policy', async () => {
    const rig = new Rig();
    const [named, other] = [newSigner(), newSigner()];
    const tag = tagOf(named);
    await rig.publish({}, { tag });
    const conversation = await rig.settle(rig.respond({ anonymousFirst: true, signer: other }, { tag }));
    await expect(rig.settle(conversation.challenge())).rejects.toMatchObject({ reason: 'no-identity' });
    const impostor = new Rig();
    await impostor.publish({ signer: other }, { tag: new TagSecret(tag.exportSecret()) });
    const taken = await impostor.settle(impostor.respond({ anonymousFirst: true }, { tag }));
    const policy = { keys: [other.identity.fingerprint] };
    await expect(impostor.settle(taken.challenge({ policy }))).rejects.toMatchObject({ reason: 'wrong-key' });
  });

  it('goes one at a time, with a deadline, and ends with the conversation', async () => {
    const rig = new Rig();
    const signer = counting(newSigner());
    const ends = await pair(rig, signer);
    signer.answer = new Promise(() => {});
    const first = ends.responder.challenge({ timeoutMs: 5000 });
    await expect(ends.responder.challenge()).rejects.toMatchObject({ code: 'busy' });
    await expect(rig.settle(first, 6000)).rejects.toMatchObject({ code: 'timeout' });
    const aborter = new AbortController();
    const second = ends.responder.challenge({ signal: aborter.signal });
    aborter.abort();
    await expect(second).rejects.toMatchObject({ code: 'canceled' });
    const third = ends.responder.challenge();
    third.catch(() => {});
    await rig.settle(ends.responder.close());
    await expect(third).rejects.toMatchObject({ code: 'closed' });
    await expect(ends.responder.challenge()).rejects.toMatchObject({ code: 'closed' });
    await expect(ends.publisher.challenge({ timeoutMs: 0 })).rejects.toThrow('"timeoutMs"');
  });

  it.each<[string, unknown]>([
    ['rubbish', Promise.resolve(new Uint8Array(64).fill(7))],
    ['a signature over something else', newSigner().sign(Uint8Array.of(1))],
    ['nothing', undefined],
  ])('is declined when the signer returns %s', async (_what, answer) => {
    const rig = new Rig();
    const signer = counting(newSigner());
    const ends = await pair(rig, undefined, signer);
    signer.answer = answer;
    await expect(rig.settle(ends.publisher.challenge())).rejects.toMatchObject({ reason: 'no-identity' });
    delete signer.answer;
    expect(await rig.settle(ends.publisher.challenge())).toMatchObject({ level: 'key' });
  });

  it('costs a peer that asks and asks no more signatures than it may', async () => {
    const rig = new Rig();
    const signer = counting(newSigner());
    const ends = await pair(rig, undefined, signer);
    for (let i = 0; i < 40; i++) {
      const asked = ends.publisher.challenge({ timeoutMs: 100 });
      await rig.settle(
        asked.catch(() => {}),
        200,
      );
    }
    expect(signer.asked.length).toBeLessThanOrEqual(6);
    // An honest one gets its answer, a little later.
    expect(await rig.settle(ends.publisher.challenge())).toMatchObject({ level: 'key' });
  });

  it('a proof is for one role, one channel and one question', async () => {
    const signer = newSigner();
    const rig = new Rig();
    const nonce = new Uint8Array(32);
    const [h, other] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
    const genuine = { role: 'publisher', channelBinding: h, nonce } as const;
    const { whole } = await makeProof(signer, genuine, rig.clock);
    expect(await checkProof(whole, genuine, {}, 0)).toMatchObject({ level: 'key' });
    for (const wrong of [
      { ...genuine, role: 'responder' as const },
      { ...genuine, channelBinding: other },
      { ...genuine, nonce: other },
    ]) {
      await expect(checkProof(whole, wrong, {}, 0)).rejects.toMatchObject({ reason: 'bad-signature' });
    }
    await expect(checkProof(Uint8Array.of(1), genuine, {}, 0)).rejects.toMatchObject({ reason: 'malformed' });
  });
});

describe('a responder filter', () => {
  it('lets those in who prove to be allowed, and nobody else', async () => {
    const rig = new Rig();
    const [friend, stranger] = [newSigner(), newSigner()];
    const publication = await rig.publish({ allow: { keys: [friend.identity.fingerprint] } });
    const accepted = acceptedBy(publication);
    for (const signer of [undefined, stranger]) {
      const conversation = await rig.settle(rig.respond({ ...(signer && { signer }) }));
      expect(await rig.settle(conversation.closed)).toBe('peer-aborted');
    }
    expect(accepted).toHaveLength(0);
    const welcome = await rig.settle(rig.respond({ signer: friend }));
    await rig.settle(welcome.send(utf8('it is me')));
    expect(accepted).toHaveLength(1);
    expect(accepted[0]!.trust).toMatchObject({
      level: 'key',
      expected: true,
      fingerprint: friend.identity.fingerprint,
    });
  });

  it('hears nothing of a responder before it has proved itself', async () => {
    const rig = new Rig();
    const friend = counting(newSigner());
    let answer: (signature: Promise<Uint8Array>) => void = () => {};
    friend.answer = new Promise<Uint8Array>((resolve) => {
      answer = resolve;
    });
    const publication = await rig.publish({ allow: { keys: [friend.identity.fingerprint] } });
    const accepted = acceptedBy(publication);
    const conversation = await rig.settle(rig.respond({ signer: friend }));
    const sent = conversation.send(utf8('early'));
    await rig.clock.advance(5000);
    expect(accepted).toHaveLength(0);
    answer(realSignature(friend));
    await rig.settle(sent);
    await rig.clock.advance(100);
    expect(accepted).toHaveLength(1);
    const { value } = await rig.settle(accepted[0]![Symbol.asyncIterator]().next());
    expect(value).toEqual(utf8('early'));
  });

  it('takes a chain to a root as well as a key', async () => {
    const rig = new Rig();
    const [friend, guest] = [newSigner(), newSigner()];
    const allow = { keys: [friend.identity.fingerprint], roots: [Uint8Array.of(1)], certificates };
    const accepted = acceptedBy(await rig.publish({ allow }));
    const certified = { ...guest, chain: [certificateOf(guest)] };
    for (const signer of [friend, certified]) {
      const conversation = await rig.settle(rig.respond({ signer }));
      await rig.settle(conversation.send(utf8('x')));
    }
    expect(accepted.map(({ trust }) => trust.level)).toEqual(['key', 'certificate']);
    const bare = await rig.settle(rig.respond({ signer: guest }));
    expect(await rig.settle(bare.closed)).toBe('peer-aborted');
  });

  it('has to name somebody', async () => {
    const rig = new Rig();
    await expect(rig.publish({ allow: {} })).rejects.toThrow('"allow"');
    await expect(rig.publish({ allow: { roots: [Uint8Array.of(1)] } })).rejects.toThrow('"certificates"');
    await expect(rig.publish({ allow: { keys: [new Uint8Array(31)] } })).rejects.toThrow('"keys"');
  });
});

/** What the signer behind a counting one would have said to its first question. */
function realSignature(friend: ReturnType<typeof counting>): Promise<Uint8Array> {
  const [message] = friend.asked;
  delete friend.answer;
  return friend.sign(message!);
}
