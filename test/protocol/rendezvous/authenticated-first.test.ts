// Authenticated-first, SPEC §6.2: who responds to an identity tag sends nothing to anybody but the holder of its key.
import { MemoryStore } from '@rdv/protocol/core/memory-store';
import type { Signer, TrustPolicy } from '@rdv/protocol/identity/api';
import { decodeEvidence, makeEvidence } from '@rdv/protocol/identity/evidence';
import type { MemoryNamespace } from '@rdv/protocol/namespace/memory';
import {
  bodyWithEvidence,
  bodyWithoutEvidence,
  decodeBody,
  encodeBody,
  openRecord,
  sealRecord,
} from '@rdv/protocol/record/body';
import { checkPut, type RecordEnvelope } from '@rdv/protocol/record/envelope';
import { epochOf, TagSecret } from '@rdv/protocol/tag/derived';
import { describe, expect, it } from 'vitest';
import { testOwner } from '../../contract/records.js';
import { certificateOf, certificates, counting, newSigner, patiently, SIGNERS, tagOf } from './identity-rig.js';
import { acceptedBy, Rig, random } from './rig.js';

/** Everything that is put and sent through the hub. */
function spy(rig: Rig): { readonly client: MemoryNamespace; readonly sent: number } {
  const client = rig.client();
  const send = client.send.bind(client);
  const counts = { client, sent: 0 };
  client.send = (queue, frame, ...more) => {
    counts.sent++;
    return send(queue, frame, ...more);
  };
  return counts;
}

const keysAt = (rig: Rig, tag: TagSecret) => tag.epoch(epochOf(Math.floor(rig.clock.now() / 1000)));

/** The record that is out under the tag. */
async function recordOf(rig: Rig, tag: TagSecret): Promise<{ record: RecordEnvelope; body: Uint8Array }> {
  const keys = keysAt(rig, tag);
  const records: RecordEnvelope[] = [];
  const watch = rig.client().watch({ id: keys.id, lookupKey: keys.lookupKey }, (bytes) => {
    if (bytes.length > 0) records.push(checkPut(bytes, Math.floor(rig.clock.now() / 1000)));
  });
  await rig.settle(watch.answered);
  watch.close();
  const record = records.at(-1)!;
  return { record, body: openRecord(record, keys.recordKey) };
}

/** The body of a genuine publication, which is then gone: its prekey and evidence are left to the attacker. */
async function takenFrom(rig: Rig, tag: TagSecret, signer: Signer): Promise<Uint8Array> {
  const publication = await rig.publish({ signer }, { tag });
  const { record, body } = await recordOf(rig, tag);
  await publication.close();
  rig.hub.overwrite(record.id, record.owner, null);
  return body;
}

/** The tag as somebody holds it who does not care whose it is. */
const unnamed = (tag: TagSecret): TagSecret => new TagSecret(tag.exportSecret());

/** Puts `body` under an owner of the attacker's, who knows the tag. */
async function putAs(rig: Rig, tag: TagSecret, body: Uint8Array, owner = testOwner()): Promise<void> {
  const { id, recordKey } = keysAt(rig, tag);
  const notAfter = Math.floor(rig.clock.now() / 1000) + 600;
  const place = { id, owner: owner.publicKey, seq: Math.floor(rig.clock.now()), notAfter, sign: owner.sign };
  await rig.client().put(sealRecord({ ...place, recordKey, body, random }));
}

const bodyOf = (prekey: Uint8Array): Uint8Array =>
  encodeBody({ prekey, lifecycle: 'unlimited', reach: 'any', abilities: [1] });

/** A body by somebody who knows the tag, with evidence as `change` wants it. */
async function forged(
  rig: Rig,
  tag: TagSecret,
  signer: Signer,
  change: { binding?: Uint8Array; owner?: Uint8Array; otherBody?: boolean; ahead?: number } = {},
): Promise<{ body: Uint8Array; owner: ReturnType<typeof testOwner> }> {
  const owner = testOwner();
  const body = bodyOf(random(32));
  const subject = {
    binding: change.binding ?? tag.evidenceBinding,
    owner: change.owner ?? owner.publicKey,
    body: change.otherBody ? bodyOf(random(32)) : body,
  };
  const notAfter = Math.floor(rig.clock.now() / 1000) + (change.ahead ?? 600);
  const late = { ...rig.clock, now: () => (notAfter - 600) * 1000, schedule: rig.clock.schedule.bind(rig.clock) };
  return { owner, body: bodyWithEvidence(body, await makeEvidence(signer, subject, notAfter, late as never)) };
}

describe.each(SIGNERS)('%s', (_name, make) => {
  it('the holder of the key is found, and known for who it is', async () => {
    const rig = new Rig();
    const signer = make();
    const tag = tagOf(signer);
    await rig.publish({ signer }, { tag });
    const conversation = await patiently(rig, rig.respond({}, { tag }));
    const { fingerprint, kind } = signer.identity;
    expect(conversation.trust).toEqual({ level: 'key', expected: true, fingerprint, kind });
    await rig.settle(conversation.send(Uint8Array.of(1)));
  });

  it('is asked again in the open conversation, and proves it', async () => {
    const rig = new Rig();
    const signer = make();
    const tag = tagOf(signer);
    await rig.publish({ signer }, { tag });
    const conversation = await patiently(rig, rig.respond({ anonymousFirst: true }, { tag }));
    const trust = await patiently(rig, conversation.challenge());
    expect(trust).toMatchObject({ level: 'key', expected: true, fingerprint: signer.identity.fingerprint });
  });
});

describe('nothing is sent to', () => {
  const cases: readonly [string, string, (rig: Rig, tag: TagSecret, signer: Signer) => Promise<void>][] = [
    ['a publisher without evidence', 'no-identity', async (rig, tag) => void (await rig.publish({}, { tag }))],
    [
      'a publisher with another key',
      'wrong-key',
      async (rig, tag) => {
        // Whoever knows the tag can publish under it, with a key of his own.
        const { body, owner } = await forged(rig, tag, newSigner());
        await putAs(rig, tag, body, owner);
      },
    ],
    [
      'genuine evidence under another tag of the same key',
      'bad-signature',
      async (rig, tag, signer) => {
        const { body, owner } = await forged(rig, tag, signer, { binding: tagOf(signer).evidenceBinding });
        await putAs(rig, tag, body, owner);
      },
    ],
    [
      'genuine evidence lifted into another body',
      'bad-signature',
      async (rig, tag, signer) => {
        const { evidence } = decodeBody(await takenFrom(rig, tag, signer));
        await putAs(rig, tag, bodyWithEvidence(bodyOf(random(32)), evidence!));
      },
    ],
    [
      'a genuine body with its evidence under another owner',
      'bad-signature',
      async (rig, tag, signer) => {
        await putAs(rig, tag, await takenFrom(rig, tag, signer));
      },
    ],
    [
      'a body to which something was added',
      'bad-signature',
      async (rig, tag, signer) => {
        const { body, owner } = await forged(rig, tag, signer, { otherBody: true });
        await putAs(rig, tag, body, owner);
      },
    ],
    [
      'evidence that has expired',
      'expired',
      async (rig, tag, signer) => {
        const { body, owner } = await forged(rig, tag, signer, { ahead: 0 });
        await putAs(rig, tag, body, owner);
      },
    ],
    [
      'evidence from the future',
      'not-yet-valid',
      async (rig, tag, signer) => {
        const { body, owner } = await forged(rig, tag, signer, { ahead: 10 * 86_400 });
        await putAs(rig, tag, body, owner);
      },
    ],
    [
      'evidence with a flipped bit',
      'bad-signature',
      async (rig, tag, signer) => {
        const { body, owner } = await forged(rig, tag, signer);
        const { evidence } = decodeBody(body);
        const at = evidence!.length - 20;
        evidence![at]! ^= 1;
        expect(decodeEvidence(evidence!).key.fingerprint).toEqual(signer.identity.fingerprint);
        await putAs(rig, tag, bodyWithEvidence(bodyWithoutEvidence(body), evidence!), owner);
      },
    ],
    [
      'evidence that is none',
      'malformed',
      async (rig, tag) => putAs(rig, tag, bodyWithEvidence(bodyOf(random(32)), Uint8Array.of(0xa1, 1, 2))),
    ],
  ];

  it.each(cases)('%s', async (_what, reason, attack) => {
    const rig = new Rig();
    const signer = newSigner();
    const tag = tagOf(signer);
    await attack(rig, tag, signer);
    const ear = spy(rig);
    const failure = { code: 'authentication-failed', reason };
    await expect(rig.settle(rig.respond({ noWait: true }, { tag, namespaces: [ear.client] }))).rejects.toMatchObject(
      failure,
    );
    await expect(rig.settle(rig.respond({ timeoutMs: 5000 }, { tag, namespaces: [ear.client] }))).rejects.toMatchObject(
      failure,
    );
    expect(ear.sent).toBe(0);
  });

  it('any of a crowd of impostors, and the genuine one is found among them', async () => {
    const rig = new Rig();
    const signer = newSigner();
    const tag = tagOf(signer);
    const publication = await rig.publish({ signer }, { tag });
    const { body } = await recordOf(rig, tag);
    // Each of them answers, too: they have prekeys of their own, or the genuine body.
    for (let i = 0; i < 3; i++) await putAs(rig, tag, body);
    for (let i = 0; i < 3; i++) await rig.publish({ signer: newSigner() }, { tag: unnamed(tag) });
    const ear = spy(rig);
    const conversation = await rig.settle(rig.respond({}, { tag, namespaces: [ear.client] }), 900);
    await rig.settle(conversation.send(new Uint8Array(1)));
    expect(publication.status.accepted).toBe(1);
  });

  it('anybody because a tag knower says that the tag is used up', async () => {
    const rig = new Rig();
    const signer = newSigner();
    const tag = tagOf(signer);
    const impostor = await rig.publish({ lifecycle: 'single' }, { tag: unnamed(tag) });
    await rig.settle(rig.respond({ anonymousFirst: true }, { tag }));
    expect(impostor.status.lifecycle).toBe('consumed');
    const waiting = rig.respond({}, { tag });
    await rig.clock.advance(8000);
    await rig.publish({ signer }, { tag });
    expect((await rig.settle(waiting)).trust.expected).toBe(true);
  });
});

describe('asking for less', () => {
  it('takes a publisher without evidence, as an anonymous one', async () => {
    const rig = new Rig();
    const tag = tagOf(newSigner());
    await rig.publish({}, { tag });
    const conversation = await rig.settle(rig.respond({ anonymousFirst: true }, { tag }));
    expect(conversation.trust).toEqual({ level: 'anonymous', expected: false });
  });

  it('still prefers whom the tag names', async () => {
    const rig = new Rig();
    const signer = newSigner();
    const tag = tagOf(signer);
    for (let i = 0; i < 5; i++) await rig.publish({}, { tag });
    const genuine = await rig.publish({ signer }, { tag });
    for (let i = 1; i <= 4; i++) {
      const conversation = await rig.settle(rig.respond({ anonymousFirst: true }, { tag }));
      expect([conversation.trust.expected, genuine.status.accepted]).toEqual([true, i]);
    }
  });

  it('is not what a text tag does when it is told whom to believe', async () => {
    const rig = new Rig();
    const [signer, other] = [newSigner(), newSigner()];
    await rig.publish({ signer: other });
    const trust = { keys: [signer.identity.fingerprint] };
    await expect(rig.settle(rig.respond({ trust, noWait: true }))).rejects.toMatchObject({ reason: 'wrong-key' });
    await rig.publish({ signer });
    const conversation = await rig.settle(rig.respond({ trust }));
    expect(conversation.trust).toMatchObject({ level: 'key', expected: true });
    // Told nothing, it says which key spoke, and that nobody named it.
    const loose = await rig.settle(rig.respond());
    expect(loose.trust).toMatchObject({ level: 'key', expected: false });
  });
});

describe('certificates', () => {
  const roots = [Uint8Array.of(1)];
  async function outcome(trust: TrustPolicy, chain?: (signer: Signer) => Uint8Array[]): Promise<unknown> {
    const rig = new Rig();
    const signer = newSigner();
    const tag = tagOf(signer);
    await rig.publish({ signer: chain ? { ...signer, chain: chain(signer) } : signer }, { tag });
    return rig.settle(rig.respond({ trust, noWait: true }, { tag })).then(
      (conversation) => conversation.trust,
      (error: { reason: string }) => error.reason,
    );
  }

  it('say whose key it is', async () => {
    const info = await outcome({ roots, certificates }, (signer) => [certificateOf(signer)]);
    expect(info).toMatchObject({ level: 'certificate', expected: true, name: 'shop', issuer: 'root' });
  });

  const good = { ok: true, name: 'x', issuer: 'y', notBefore: 0, notAfter: 9e9 } as const;

  it('are demanded where roots are given, and have to be good', async () => {
    expect(await outcome({ roots, certificates })).toBe('certificate-required');
    const chain = (signer: Signer) => [certificateOf(signer)];
    expect(await outcome({ roots: [Uint8Array.of(2)], certificates }, chain)).toBe('unknown-root');
    expect(await outcome({ roots, crls: [roots[0]!], certificates }, chain)).toBe('revoked');
    expect(await outcome({ roots, certificates }, () => [certificateOf(newSigner())])).toBe('wrong-key');
    const odd = { ...certificates, verify: async () => ({ ...good, spki: new Uint8Array(3) }) };
    expect(await outcome({ roots, certificates: odd }, chain)).toBe('unsupported-algorithm');
    const broken = { ...certificates, verify: () => Promise.reject(new Error('library')) };
    expect(await outcome({ roots, certificates: broken }, chain)).toBe('malformed');
  });

  it('that are refused are not waited for: the key of the tag itself has shown them', async () => {
    const rig = new Rig();
    const signer = newSigner();
    const tag = tagOf(signer);
    await rig.publish({ signer }, { tag });
    const responding = rig.respond({ trust: { roots, certificates } }, { tag });
    await expect(rig.settle(responding, 2000)).rejects.toMatchObject({ reason: 'certificate-required' });
  });

  it('too long for a record are refused when publishing', async () => {
    const rig = new Rig();
    const signer = newSigner();
    const chain = [certificateOf(signer, 3000), certificateOf(signer, 3000)];
    await expect(rig.publish({ signer: { ...signer, chain } })).rejects.toMatchObject({ code: 'too-large' });
    const longer = Array.from({ length: 7 }, () => certificateOf(signer));
    await expect(rig.publish({ signer: { ...signer, chain: longer } })).rejects.toThrow('"signer.chain"');
  });
});

describe('the signer', () => {
  it('has to be that of the tag', async () => {
    const rig = new Rig();
    await expect(rig.publish({ signer: newSigner() }, { tag: tagOf(newSigner()) })).rejects.toThrow('"signer"');
  });

  it.each<[string, (signer: Signer) => unknown]>([
    ['rubbish', () => Promise.resolve(new Uint8Array(64))],
    ['nothing', () => undefined],
    ['a signature that is too short', () => Promise.resolve(new Uint8Array(63))],
    ['a signature over something else', (signer) => signer.sign(Uint8Array.of(1))],
    ['a signature by another key', () => newSigner().sign(Uint8Array.of(1))],
    ['a failure', () => Promise.reject(new Error('agent is locked'))],
  ])('that returns %s publishes nothing', async (_what, answer) => {
    const rig = new Rig();
    const signer = counting(newSigner());
    const tag = tagOf(signer);
    signer.answer = answer(signer);
    if (signer.answer instanceof Promise) signer.answer.catch(() => {});
    await expect(rig.publish({ signer }, { tag })).rejects.toMatchObject({ code: 'authentication-failed' });
    await expect(rig.settle(rig.respond({ noWait: true }, { tag }))).rejects.toMatchObject({ code: 'not-published' });
  });

  it('that does not answer is given up after 30 s', async () => {
    const rig = new Rig();
    const signer = counting(newSigner());
    signer.answer = new Promise(() => {});
    const publishing = rig.publish({ signer }, { tag: tagOf(signer) });
    publishing.catch(() => {});
    await rig.clock.advance(29_000);
    await expect(rig.settle(publishing, 2000)).rejects.toMatchObject({ code: 'timeout' });
  });

  it('is asked once a day, not at every restart, and never for what is there', async () => {
    const rig = new Rig();
    const signer = counting(newSigner());
    const tag = tagOf(signer);
    const store = new MemoryStore();
    const first = await rig.publish({ signer }, { tag, store });
    await first.close();
    const second = await rig.publish({ signer, handle: first.handle }, { tag, store });
    expect(signer.asked).toHaveLength(1);
    await rig.clock.advance(86_400_000);
    expect(signer.asked).toHaveLength(2);
    const conversation = await rig.settle(rig.respond({}, { tag }));
    expect(conversation.trust.expected).toBe(true);
    await second.close();
    // Another key is another body.
    const next = counting(newSigner());
    await rig.publish({ signer: next, handle: first.handle }, { tag: unnamed(tag), store });
    expect(next.asked.length).toBeGreaterThan(0);
  });

  it('that is away when the day changes is asked again, and nobody is lost', async () => {
    const rig = new Rig();
    const signer = counting(newSigner());
    const tag = tagOf(signer);
    const publication = await rig.publish({ signer }, { tag });
    signer.answer = Promise.reject(new Error('away'));
    (signer.answer as Promise<never>).catch(() => {});
    await rig.clock.advance(12 * 3_600_000 + 60_000);
    delete signer.answer;
    await rig.clock.advance(600_000);
    const accepted = acceptedBy(publication);
    const conversation = await rig.settle(rig.respond({}, { tag }));
    await rig.settle(conversation.send(Uint8Array.of(1)));
    expect(accepted).toHaveLength(1);
  });
});
