// Published vectors, both sides of each.
import { fromHex, toHex } from '@rdv/protocol/core/bytes';
import { CipherState } from '@rdv/protocol/noise/cipher-state';
import { HandshakeState } from '@rdv/protocol/noise/handshake-state';
import { expect, it } from 'vitest';
import doc from '../../vectors/noise.json' with { type: 'json' };
import { pairOptions } from './pair.js';

it.each(doc.vectors)('$pattern', ({ pattern, handshakeHash, ciphertexts }) => {
  const keys = {
    initiator: fromHex(doc.initiatorStatic),
    responder: fromHex(doc.responderStatic),
    psk: fromHex(doc.psk),
    prologue: fromHex(doc.prologue),
  };
  const options = pairOptions(pattern, keys, [
    () => fromHex(doc.initiatorEphemeral),
    () => fromHex(doc.responderEphemeral),
  ]);
  const [initiator, responder] = options.map((one) => new HandshakeState(one)) as [HandshakeState, HandshakeState];
  let turn = 0;
  for (; initiator.turn !== 'split'; turn++) {
    const [from, to] = turn % 2 === 0 ? [initiator, responder] : [responder, initiator];
    const message = from.writeMessage(fromHex(doc.payloads[turn]!));
    expect(toHex(message)).toBe(ciphertexts[turn]);
    expect(toHex(to.readMessage(message))).toBe(doc.payloads[turn]);
  }
  expect(toHex(initiator.handshakeHash)).toBe(handshakeHash);
  expect(toHex(responder.handshakeHash)).toBe(handshakeHash);
  const [a, b] = [initiator.split(), responder.split()];
  expect([a.send, a.receive]).toEqual([b.receive, b.send]);
  const [toResponder, toInitiator] = [new CipherState(a.send), new CipherState(a.receive)];
  for (; turn < ciphertexts.length; turn++) {
    const sealed = (turn % 2 === 0 ? toResponder : toInitiator).encryptWithAd(
      new Uint8Array(0),
      fromHex(doc.payloads[turn]!),
    );
    expect(toHex(sealed)).toBe(ciphertexts[turn]);
  }
});
