/** What `publish()` refuses before anything is stored. */

import { equalBytes } from '../core/bytes.js';
import { AHEAD_EPOCHS_MAX, KEY_BYTES } from '../core/constants.js';
import { InvalidArgumentError } from '../core/errors.js';
import type { Clock } from '../core/ports.js';
import type { Signer, TrustPolicy } from '../identity/api.js';
import { checkSigner } from '../identity/presented.js';
import { checkPolicy, namesSomebody } from '../identity/trust.js';
import { ABILITY_RDV1, encodeBody, type Metadata } from '../record/body.js';
import type { Lifecycle } from './acceptance.js';
import { assertHello } from './messages.js';

/** Accepted conversations waiting for the application, where it says nothing else. */
export const WAITING_MAX = 512;

interface Checked {
  readonly lifecycle?: Lifecycle;
  readonly ttlSeconds?: number;
  readonly maxWaiting?: number;
  readonly aheadEpochs?: number;
  readonly metadata?: Metadata;
  readonly hello?: Uint8Array;
  readonly handle?: string;
  readonly signer?: Signer;
  readonly allow?: TrustPolicy;
}

/** @param fingerprint of an identity tag @throws InvalidArgumentError naming what is wrong */
export function checkPublish(options: Checked, namespaces: number, fingerprint: Uint8Array | undefined): void {
  const { lifecycle, ttlSeconds, maxWaiting, aheadEpochs = 0, hello, handle, metadata } = options;
  if (typeof lifecycle === 'object') assertCount('limit', lifecycle.limit);
  if (ttlSeconds !== undefined) assertCount('ttlSeconds', ttlSeconds);
  if (maxWaiting !== undefined) assertCount('maxWaiting', maxWaiting);
  if (!(Number.isInteger(aheadEpochs) && aheadEpochs >= 0 && aheadEpochs <= AHEAD_EPOCHS_MAX)) {
    throw new InvalidArgumentError(`"aheadEpochs" expected 0 to ${AHEAD_EPOCHS_MAX}`);
  }
  assertHello(hello);
  if (handle !== undefined && !/^[0-9a-f]{32}$/.test(handle)) {
    throw new InvalidArgumentError('"handle" expected 32 hexadecimal digits');
  }
  checkIdentity(options, fingerprint);
  if (namespaces === 0) throw new InvalidArgumentError('"namespaces" expected at least one');
  const prekey = new Uint8Array(KEY_BYTES);
  const body = { prekey, lifecycle: 'unlimited', reach: 'any', abilities: [ABILITY_RDV1] } as const;
  // Metadata is checked by encoding it.
  encodeBody({ ...body, ...(metadata && { metadata }) });
}

function checkIdentity({ signer, allow }: Checked, fingerprint: Uint8Array | undefined): void {
  if (signer) checkSigner(signer);
  if (signer && fingerprint && !equalBytes(signer.identity.fingerprint, fingerprint)) {
    throw new InvalidArgumentError(
      '"signer" expected the key that the tag names, got another: sign with that one, or publish a tag of this one',
    );
  }
  checkPolicy(allow);
  if (allow && !namesSomebody(allow)) throw new InvalidArgumentError('"allow" expected keys or roots');
}

/** @throws InvalidArgumentError naming `name` */
export function assertCount(name: string, value: number): void {
  if (!(Number.isSafeInteger(value) && value > 0)) throw new InvalidArgumentError(`"${name}" expected an integer > 0`);
}

/** How many responses are accepted at most. */
export function limitOf(lifecycle: Lifecycle = 'unlimited'): number {
  if (lifecycle === 'single') return 1;
  return lifecycle === 'unlimited' ? Number.POSITIVE_INFINITY : lifecycle.limit;
}

/** Unix seconds, 0 for never: `ttlSeconds` from now, else what the store has. */
export function expiryOf(ttlSeconds: number | undefined, stored: number | undefined, clock: Clock): number {
  return ttlSeconds === undefined ? (stored ?? 0) : Math.floor(clock.now() / 1000) + ttlSeconds;
}
