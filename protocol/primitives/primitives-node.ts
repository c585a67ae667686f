/**
 * What `#primitives` is in Node (SPEC §1): node:crypto, or the portable backend where the environment says
 * RDV_PRIMITIVES=noble, so that one process can be made to run what a browser runs.
 */
import { env } from 'node:process';
import * as accelerated from './accelerated-node.js';
import type { Primitives } from './api.js';
import * as portable from './primitives-noble.js';

const chosen: Primitives = env['RDV_PRIMITIVES'] === 'noble' ? portable : accelerated;

export const sha256: Primitives['sha256'] = chosen.sha256;
export const hmacSha256: Primitives['hmacSha256'] = chosen.hmacSha256;
export const hkdfExtract: Primitives['hkdfExtract'] = chosen.hkdfExtract;
export const hkdfExpand: Primitives['hkdfExpand'] = chosen.hkdfExpand;
export const scrypt: Primitives['scrypt'] = chosen.scrypt;
export const x25519PublicKey: Primitives['x25519PublicKey'] = chosen.x25519PublicKey;
export const x25519: Primitives['x25519'] = chosen.x25519;
export const x25519KeyPair: Primitives['x25519KeyPair'] = chosen.x25519KeyPair;
export const ed25519PublicKey: Primitives['ed25519PublicKey'] = chosen.ed25519PublicKey;
export const ed25519Sign: Primitives['ed25519Sign'] = chosen.ed25519Sign;
export const ed25519Verify: Primitives['ed25519Verify'] = chosen.ed25519Verify;
export const p256Point: Primitives['p256Point'] = chosen.p256Point;
export const p256PublicKey: Primitives['p256PublicKey'] = chosen.p256PublicKey;
export const p256Sign: Primitives['p256Sign'] = chosen.p256Sign;
export const p256Verify: Primitives['p256Verify'] = chosen.p256Verify;
export const rsaPssSign: Primitives['rsaPssSign'] = chosen.rsaPssSign;
export const rsaPssVerify: Primitives['rsaPssVerify'] = chosen.rsaPssVerify;
export const chachaSeal: Primitives['chachaSeal'] = chosen.chachaSeal;
export const chachaOpen: Primitives['chachaOpen'] = chosen.chachaOpen;
export const xchachaSeal: Primitives['xchachaSeal'] = chosen.xchachaSeal;
export const xchachaOpen: Primitives['xchachaOpen'] = chosen.xchachaOpen;
export const aes128EncryptBlock: Primitives['aes128EncryptBlock'] = chosen.aes128EncryptBlock;
