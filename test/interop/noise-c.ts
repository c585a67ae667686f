/** noise-c (WebAssembly) as a handshake peer: a Noise implementation that nobody here wrote. */
import { createRequire } from 'node:module';

interface WasmCipher {
  EncryptWithAd(ad: Uint8Array, plaintext: Uint8Array): Uint8Array;
  DecryptWithAd(ad: Uint8Array, ciphertext: Uint8Array): Uint8Array;
  free(): void;
}

export interface WasmHandshake {
  Initialize(prologue: Uint8Array, s: Uint8Array | null, rs: Uint8Array | null, psk: Uint8Array | null): void;
  WriteMessage(payload: Uint8Array): Uint8Array;
  ReadMessage(message: Uint8Array, payloadNeeded: boolean): Uint8Array;
  Split(): [send: WasmCipher, receive: WasmCipher];
  GetHandshakeHash(): Uint8Array;
  free(): void;
}

interface NoiseC {
  readonly constants: { NOISE_ROLE_INITIATOR: number; NOISE_ROLE_RESPONDER: number };
  readonly HandshakeState: new (name: string, role: number) => WasmHandshake;
}

const create = createRequire(import.meta.url)('@richardhopton/noise-c.wasm') as (
  ready: (noise: NoiseC) => void,
) => void;
const noise = await new Promise<NoiseC>((resolve) => create((ready) => resolve({ ...ready })));

/** A handshake of noise-c; `name` without suite, e.g. `NKpsk0`. Throws where noise-c has no such pattern. */
export function noiseC(name: string, role: 'initiator' | 'responder'): WasmHandshake {
  const { NOISE_ROLE_INITIATOR, NOISE_ROLE_RESPONDER } = noise.constants;
  return new noise.HandshakeState(
    `Noise_${name}_25519_ChaChaPoly_SHA256`,
    role === 'initiator' ? NOISE_ROLE_INITIATOR : NOISE_ROLE_RESPONDER,
  );
}
