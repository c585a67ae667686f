// Whoever knows a tag can flood a responder with evidence: what waits to be judged is bounded (SPEC §6.2).
import { VirtualClock } from '@rdv/protocol/core/virtual-clock';
import type { Candidate } from '@rdv/protocol/rendezvous/lookup';
import { Vetting } from '@rdv/protocol/rendezvous/vetting';
import { expect, it } from 'vitest';
import { random } from './rig.js';

it('judges one after another, and a bounded number', async () => {
  const judged: Candidate[] = [];
  const vetting = new Vetting({
    expected: { fingerprint: random(32) },
    binding: random(32),
    anonymousFirst: false,
    clock: new VirtualClock(0),
    onJudged: (candidate, later) => {
      expect(later).toBe(true);
      judged.push(candidate);
    },
  });
  const candidates = Array.from(
    { length: 1000 },
    () =>
      ({ body: { evidence: random(9) }, plainBody: random(9), record: { owner: random(32) } }) as unknown as Candidate,
  );
  for (const candidate of candidates) vetting.add(candidate);
  while (vetting.pending) await new Promise((resolve) => setImmediate(resolve));
  expect(judged).toEqual(candidates.slice(0, 64));
  expect(judged.some((candidate) => vetting.trust(candidate))).toBe(false);
  expect([vetting.failure?.reason, vetting.certain]).toEqual(['malformed', false]);
});
