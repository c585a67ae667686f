import { createCipheriv } from 'node:crypto';
import { utf8 } from '@rdv/protocol/core/bytes';
import { AuthenticationError } from '@rdv/protocol/core/errors';
import { CipherState, rekey } from '@rdv/protocol/noise/cipher-state';
import { expect, it } from 'vitest';

const key = Uint8Array.from({ length: 32 }, (_, i) => i);
const ad = utf8('ad');

it('refuses replay, reordering and loss, and goes on with the right message', () => {
  const [sender, receiver] = [new CipherState(key), new CipherState(key)];
  const [first, second, third] = ['1', '2', '3'].map((text) => sender.encryptWithAd(ad, utf8(text)));
  expect(() => receiver.decryptWithAd(ad, second!)).toThrow(AuthenticationError);
  expect(receiver.decryptWithAd(ad, first!)).toEqual(utf8('1'));
  expect(() => receiver.decryptWithAd(ad, first!)).toThrow(AuthenticationError);
  expect(() => receiver.decryptWithAd(ad, third!)).toThrow(AuthenticationError);
  expect(receiver.decryptWithAd(ad, second!)).toEqual(utf8('2'));
  expect(receiver.n).toBe(2);
});

it('rekeys as §4.2 says, without touching the counter', () => {
  const cipher = createCipheriv('chacha20-poly1305', key, Buffer.from('00000000ffffffffffffffff', 'hex'), {
    authTagLength: 16,
  });
  expect(rekey(key)).toEqual(Uint8Array.from(cipher.update(Buffer.alloc(32))));
  const [sender, receiver] = [new CipherState(key), new CipherState(key)];
  receiver.decryptWithAd(ad, sender.encryptWithAd(ad, ad));
  sender.rekey();
  const sealed = sender.encryptWithAd(ad, utf8('after'));
  expect(() => receiver.decryptWithAd(ad, sealed)).toThrow(AuthenticationError);
  receiver.rekey();
  expect(receiver.decryptWithAd(ad, sealed)).toEqual(utf8('after'));
  expect(sender.n).toBe(2);
});

it('is of no use after wipe', () => {
  const state = new CipherState(key);
  state.wipe();
  state.wipe();
  expect(() => state.encryptWithAd(ad, ad)).toThrow('used up');
  expect(() => state.decryptWithAd(ad, ad)).toThrow('used up');
  expect(() => state.rekey()).toThrow('used up');
});

it('never repeats a nonce: the counter ends before it would', () => {
  const state = new CipherState(key, Number.MAX_SAFE_INTEGER - 1);
  state.encryptWithAd(ad, ad);
  expect(() => state.encryptWithAd(ad, ad)).toThrow('used up');
});
