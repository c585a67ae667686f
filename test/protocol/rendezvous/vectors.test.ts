import { readFileSync } from 'node:fs';
import { fromHex, toHex } from '@rdv/protocol/core/bytes';
import { toMermaid } from '@rdv/protocol/core/machine';
import { HandshakeState } from '@rdv/protocol/noise/handshake-state';
import { x25519KeyPair, x25519PublicKey } from '@rdv/protocol/primitives/primitives-node';
import { bodyHash, decodeBody, openRecord, sealRecord } from '@rdv/protocol/record/body';
import { checkPut } from '@rdv/protocol/record/envelope';
import { tombstoneMark } from '@rdv/protocol/record/tombstone';
import { lifecycleMachine } from '@rdv/protocol/rendezvous/lifecycle';
import {
  decodeReply,
  decodeReplyPayload,
  decodeResponse,
  decodeResponsePayload,
  encodeReply,
  encodeReplyPayload,
  encodeResponse,
  encodeResponsePayload,
  HANDSHAKE_PATTERN,
  handshakePrologue,
} from '@rdv/protocol/rendezvous/messages';
import { ownerKey } from '@rdv/protocol/rendezvous/owner-key';
import { TagSecret } from '@rdv/protocol/tag/derived';
import { expect, it } from 'vitest';
import vectors from '../../vectors/rendezvous.json' with { type: 'json' };

const { given, record, exchange, tombstoneMarks, mustFail } = vectors;
const bytes = (name: keyof typeof given): Uint8Array => fromHex(given[name] as string);
const fixed = (value: Uint8Array) => () => value.slice();
const keys = new TagSecret(bytes('tagSecret')).epoch(given.epoch);
const owner = ownerKey(bytes('ownerSeed'), given.epoch);

it('the record of the vector follows from what is given, and opens', () => {
  const sealed = sealRecord({
    id: keys.id,
    owner: owner.publicKey,
    seq: given.seq,
    notAfter: given.notAfter,
    recordKey: keys.recordKey,
    body: fromHex(record.body),
    random: fixed(bytes('nonce')),
    sign: owner.sign,
  });
  expect(toHex(sealed)).toBe(record.bytes);
  expect(toHex(openRecord(checkPut(sealed, given.now), keys.recordKey))).toBe(record.body);
  expect(decodeBody(fromHex(record.body)).prekey).toEqual(x25519PublicKey(bytes('prekeySecret')));
});

it('tombstones in the place of that record bear the marks of the vector', () => {
  const place = { id: keys.id, owner: owner.publicKey, seq: given.seq, notAfter: given.notAfter };
  for (const reason of ['withdrawn', 'consumed'] as const) {
    expect(toHex(tombstoneMark(keys.macKey, place, reason))).toBe(tombstoneMarks[reason]);
  }
});

it('both messages of the vector follow from what is given, and are understood', () => {
  const prologue = handshakePrologue(keys.id, bodyHash(fromHex(record.body)));
  const common = { pattern: HANDSHAKE_PATTERN, prologue, psks: [keys.psk] };
  const staticKeys = x25519KeyPair(bytes('prekeySecret'));
  const responder = new HandshakeState({
    ...common,
    role: 'initiator',
    random: fixed(bytes('responderEphemeral')),
    remoteStatic: staticKeys.publicKey,
  });
  const publisher = new HandshakeState({
    ...common,
    role: 'responder',
    random: fixed(bytes('publisherEphemeral')),
    staticKeys,
  });
  const request = {
    replyQueue: bytes('replyQueue'),
    commitment: bytes('commitment'),
    abilities: [1],
    hello: bytes('hello'),
  };
  const response = encodeResponse(keys.macKey, responder.writeMessage(encodeResponsePayload(request)), 3);
  expect(toHex(keys.inbox(owner.publicKey))).toBe(exchange.inbox);
  expect(toHex(response)).toBe(exchange.response);
  const heard = decodeResponse(response);
  expect(heard.isAuthentic(keys.macKey)).toBe(true);
  expect(decodeResponsePayload(publisher.readMessage(heard.noise1))).toEqual(request);
  const answer = { status: 'accepted', seed: bytes('seed'), abilities: [1] } as const;
  const reply = encodeReply(publisher.writeMessage(encodeReplyPayload(answer)), heard.tryNumber);
  expect(toHex(reply)).toBe(exchange.reply);
  expect(decodeReplyPayload(responder.readMessage(decodeReply(reply)))).toEqual(answer);
  expect(toHex(responder.handshakeHash)).toBe(exchange.channelBinding);
  expect(toHex(responder.split().send)).toBe(exchange.responderSends);
});

it.each(mustFail)('refuses: $why', ({ bytes: hostile }) => {
  expect(() => openRecord(checkPut(fromHex(hostile), given.now), keys.recordKey)).toThrow();
});

it('SPEC §5 shows the life of a publication as it is', () => {
  const spec = readFileSync(new URL('../../../protocol/SPEC.md', import.meta.url), 'utf8');
  const drawn = /<!-- machine: publication -->\n```mermaid\n([\s\S]*?)\n```/.exec(spec)?.[1];
  expect(drawn).toBe(toMermaid(lifecycleMachine));
});
