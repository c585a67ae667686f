/** What `publish()` refuses before anything is stored. */
import { KEY_BYTES } from '../core/constants.js';
import { InvalidArgumentError } from '../core/errors.js';
import { ABILITY_RDV1, encodeBody, type Metadata } from '../record/body.js';
import type { Lifecycle } from './acceptance.js';
import { assertHello } from './messages.js';

/** Accepted conversations waiting for the application, where it says nothing else. */
export const WAITING_MAX = 512;

interface Checked {
  readonly lifecycle?: Lifecycle;
  readonly ttlSeconds?: number;
  readonly maxWaiting?: number;
  readonly metadata?: Metadata;
  readonly hello?: Uint8Array;
  readonly handle?: string;
}

/** @throws InvalidArgumentError naming what is wrong */
export function checkPublish(options: Checked, namespaces: number): void {
  const { lifecycle, ttlSeconds, maxWaiting, hello, handle, metadata } = options;
  if (typeof lifecycle === 'object') assertCount('limit', lifecycle.limit);
  if (ttlSeconds !== undefined) assertCount('ttlSeconds', ttlSeconds);
  if (maxWaiting !== undefined) assertCount('maxWaiting', maxWaiting);
  assertHello(hello);
  if (handle !== undefined && !/^[0-9a-f]{32}$/.test(handle)) {
    throw new InvalidArgumentError('"handle" expected 32 hexadecimal digits');
  }
  if (namespaces === 0) throw new InvalidArgumentError('"namespaces" expected at least one');
  const prekey = new Uint8Array(KEY_BYTES);
  const body = { prekey, lifecycle: 'unlimited', reach: 'any', abilities: [ABILITY_RDV1] } as const;
  // Metadata is checked by encoding it.
  encodeBody({ ...body, ...(metadata && { metadata }) });
}

function assertCount(name: string, value: number): void {
  if (!(Number.isSafeInteger(value) && value > 0)) throw new InvalidArgumentError(`"${name}" expected an integer > 0`);
}
