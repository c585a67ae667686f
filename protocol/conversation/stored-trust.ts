/** What was proved of the other end, in the store (SPEC §7.7): a resumed conversation knows what it knew. */
import type { CborValue } from '../core/cbor.js';
import { ANONYMOUS, type KeyKind, type TrustInfo, type TrustLevel } from '../identity/api.js';

/** Undefined where nothing was proved. */
export function encodeTrust(trust: TrustInfo): CborValue | undefined {
  const { level, expected, fingerprint, kind, name, issuer, notBefore, notAfter } = trust;
  if (level === 'anonymous' || !fingerprint || !kind) return undefined;
  return [level, expected, fingerprint, kind, name ?? null, issuer ?? null, notBefore ?? null, notAfter ?? null];
}

/** What `encodeTrust` made; nobody for anything else. */
export function decodeTrust(value: CborValue | undefined): TrustInfo {
  if (!Array.isArray(value)) return ANONYMOUS;
  const [level, expected, fingerprint, kind, name, issuer, notBefore, notAfter] = value as readonly CborValue[];
  if (!(fingerprint instanceof Uint8Array)) return ANONYMOUS;
  return {
    level: level as TrustLevel,
    expected: expected === true,
    fingerprint,
    kind: kind as KeyKind,
    ...(typeof name === 'string' && { name }),
    ...(typeof issuer === 'string' && { issuer }),
    ...(typeof notBefore === 'number' && { notBefore }),
    ...(typeof notAfter === 'number' && { notAfter }),
  };
}
