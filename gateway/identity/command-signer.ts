/** Signing by a program: the message on its standard input, the signature, raw, on its standard output. */
import { spawn } from 'node:child_process';
import { concat } from '@rdv/protocol/core/bytes';
import { InvalidArgumentError, RdvError } from '@rdv/protocol/core/errors';
import type { PublicIdentity, Signer } from '@rdv/protocol/identity/api';

/** RSA with 4096 bits, and one byte to see that it is more. */
const SIGNATURE_MAX_BYTES = 512;
/** The protocol gives up after 30 s; nothing is left running after it. */
const KILL_AFTER_MS = 35_000;

/**
 * @param command run by the shell
 * @param identity what the signatures are made with: Ed25519 64 B, P-256 r ‖ s 64 B, RSA-PSS with a salt of 32 B
 */
export function commandSigner(command: string, identity: PublicIdentity): Signer {
  if (command.trim() === '') throw new InvalidArgumentError('"cmd:" expected a program to run');
  return { identity, sign: (message) => run(command, message) };
}

function run(command: string, message: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const child = spawn('/bin/sh', ['-c', command], {
      stdio: ['pipe', 'pipe', 'inherit'],
      timeout: KILL_AFTER_MS,
      killSignal: 'SIGKILL',
    });
    let signature: Uint8Array = new Uint8Array();
    const fail = (why: string): void => reject(new RdvError('config', `the signing program ${why}`));
    child.once('error', (error) => fail(`could not start: ${error.message}`));
    // A program that signs without reading is found out by its signature.
    child.stdin.on('error', () => {});
    child.stdout.on('data', (chunk: Uint8Array) => {
      if (signature.length <= SIGNATURE_MAX_BYTES) signature = concat(signature, chunk);
    });
    child.once('close', (code, signal) => {
      if (code !== 0) fail(signal ? `was ended by ${signal}` : `failed with exit code ${code}`);
      else if (signature.length > SIGNATURE_MAX_BYTES) fail('wrote more than a signature');
      else resolve(signature);
    });
    child.stdin.end(message);
  });
}
