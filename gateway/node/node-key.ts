/**
 * The node key (Ed25519): what `bridge: trusted` trusts. Made at the first start, kept in the state directory,
 * readable by its owner alone. It names the node to beacons that ask for it, over encrypted links only.
 */
import { chmodSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { fromHex, toHex } from '@rdv/protocol/core/bytes';
import { RdvError } from '@rdv/protocol/core/errors';
import type { Random } from '@rdv/protocol/core/ports';
import type { NodeKey } from '@rdv/protocol/link/peer';
import { ed25519PublicKey, ed25519Sign } from '@rdv/protocol/primitives/primitives-node';

const SEED_BYTES = 32;

/** @throws RdvError `store` when the file is damaged or cannot be written */
export function openNodeKey(path: string, random: Random): NodeKey {
  let seed: Uint8Array;
  try {
    if (existsSync(path)) {
      seed = fromHex(readFileSync(path, 'utf8').trim());
      if (seed.length !== SEED_BYTES) throw new Error(`${seed.length} bytes instead of ${SEED_BYTES}`);
    } else {
      seed = random(SEED_BYTES);
      const whole = `${path}.new`;
      writeFileSync(whole, `${toHex(seed)}\n`, { mode: 0o600, flush: true });
      renameSync(whole, path);
    }
    chmodSync(path, 0o600);
  } catch (cause) {
    throw new RdvError(
      'store',
      `cannot use the node key ${path}: ${(cause as Error).message}; move it away for a new one`,
      {
        cause,
      },
    );
  }
  return { publicKey: ed25519PublicKey(seed), sign: (message) => ed25519Sign(seed, message) };
}
