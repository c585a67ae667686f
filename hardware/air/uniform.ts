/** Chance for the air: a port, so that a run with losses can be run again. Not for cryptography. */

/** The next number, evenly spread over [0, 1). */
export type Uniform = () => number;

/**
 * The same numbers for the same `seed` (a 32-bit counter put through an integer mixer: even enough for losses and
 * advertising delays, and the period of 2^32 is longer than any test).
 */
export function seededUniform(seed: number): Uniform {
  let counter = seed >>> 0;
  return () => {
    counter = (counter + 0x9e3779b9) >>> 0;
    let x = counter;
    x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
    x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
    return ((x ^ (x >>> 15)) >>> 0) / 2 ** 32;
  };
}
