// Evidence and proofs are what the reference implementation makes of them (SPEC §6).
import { fromHex, toHex } from '@rdv/protocol/core/bytes';
import { VirtualClock } from '@rdv/protocol/core/virtual-clock';
import { checkEvidence, evidenceMessage, makeEvidence } from '@rdv/protocol/identity/evidence';
import { checkProof, makeProof, proofMessage } from '@rdv/protocol/identity/proof';
import { ed25519Signer } from '@rdv/protocol/identity/signing';
import { decodeBody } from '@rdv/protocol/record/body';
import { expect, it } from 'vitest';
import vectors from '../../vectors/identity.json' with { type: 'json' };

it('evidence', async () => {
  const { seed, binding, owner, body, notAfter, message, encoded } = vectors.evidence;
  const subject = { binding: fromHex(binding), owner: fromHex(owner), body: fromHex(body) };
  const now = (notAfter - 1000) * 1000;
  expect(decodeBody(subject.body).lifecycle).toBe('unlimited');
  expect(toHex(evidenceMessage(subject, notAfter))).toBe(message);
  const made = await makeEvidence(ed25519Signer(fromHex(seed)), subject, notAfter, new VirtualClock(now));
  expect(toHex(made)).toBe(encoded);
  expect(await checkEvidence(made, subject, {}, now)).toMatchObject({ notAfter, trust: { level: 'key' } });
});

it.each(vectors.proofs)('proof of the $role', async ({ role, seed, channelBinding, nonce, message, encoded }) => {
  const subject = {
    role: role === 'publisher' ? ('publisher' as const) : ('responder' as const),
    channelBinding: fromHex(channelBinding),
    nonce: fromHex(nonce),
  };
  expect(toHex(proofMessage(subject))).toBe(message);
  const { whole, bare } = await makeProof(ed25519Signer(fromHex(seed)), subject, new VirtualClock(0));
  expect([toHex(whole), toHex(bare)]).toEqual([encoded, encoded]);
  expect(await checkProof(whole, subject, {}, 0)).toMatchObject({ level: 'key', expected: false });
});
