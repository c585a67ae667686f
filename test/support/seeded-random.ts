/** Reproducible randomness for tests: ChaCha-like quality is not needed, the same bytes for the same seed are. */
import { createHash } from 'node:crypto';
import type { Random } from '@rdv/protocol/core/ports';

export function seededRandom(seed: string): Random {
  let counter = 0;
  return (length) => {
    const out = new Uint8Array(length);
    for (let at = 0; at < length; at += 32) {
      const block = createHash('sha256').update(`${seed}/${counter++}`).digest();
      out.set(block.subarray(0, length - at), at);
    }
    return out;
  };
}
