/** Nothing that a tag yields may reach a log, an error, or the store: at any level, on any path. */
import { toBase64Url, toHex } from '@rdv/protocol/core/bytes';
import { MemoryStore } from '@rdv/protocol/core/memory-store';
import type { LogFields, Logger } from '@rdv/protocol/core/ports';
import { publish } from '@rdv/protocol/rendezvous/publish';
import { respond } from '@rdv/protocol/rendezvous/respond';
import { epochOf, TagSecret } from '@rdv/protocol/tag/derived';
import { parseTag } from '@rdv/protocol/tag/tag';
import { expect, it } from 'vitest';
import { Rig } from '../protocol/rendezvous/rig.js';

it('says nothing of the tag in logs, errors, events and store keys', async () => {
  const text = 'billboard on Rte. 101';
  const tag = await TagSecret.fromTag(parseTag(text));
  const rig = new Rig({ unchecked: true });
  const said: string[] = [];
  const say = (message: string, fields: LogFields = {}): void => void said.push(message, JSON.stringify(fields));
  const log: Logger = { debug: say, info: say, warn: say, error: say, scope: () => log };
  const around = { ...rig.around, log };
  const store = new MemoryStore();
  const client = rig.client();
  const refusing = rig.client({ ownersPerClient: 1 });
  refusing.put = async () => {
    throw new Error('no');
  };
  const options = { lifecycle: 'single', metadata: { title: 'a title' } } as const;
  const publication = await publish(tag, options, { ...around, store, namespaces: [client, refusing] });
  publication.onEvent((event) => said.push(event));
  await rig.settle(respond(tag, {}, { ...around, namespaces: [rig.client()] }));
  await expect(
    rig.settle(respond(tag, { timeoutMs: 500 }, { ...around, namespaces: [rig.client()] })).catch((error: Error) => {
      said.push(String(error), String(error.stack));
      throw error;
    }),
  ).rejects.toThrow();
  store.commit = async () => {
    throw new Error('full');
  };
  await publication.unpublish().catch((error: Error) => said.push(String(error)));
  await rig.clock.advance(3000);
  said.push(...store.list('').map(([key]) => key));
  // The test can fail: something was said.
  expect(said.length).toBeGreaterThan(6);
  const keys = tag.epoch(epochOf(rig.clock.now() / 1000));
  const secrets = [tag.exportSecret(), keys.id, keys.psk, keys.macKey, keys.recordKey, keys.lookupKey, tag.beaconKey];
  const everything = said.join('\n');
  for (const secret of secrets) {
    expect(everything).not.toContain(toHex(secret));
    expect(everything).not.toContain(toBase64Url(secret));
  }
  expect(everything).not.toContain(text);
  // Nor does the store hold the tag or its secret: a thief of the store alone cannot look the publication up again.
  const kept = store.list('').map(([, value]) => toHex(value));
  for (const secret of [tag.exportSecret(), keys.psk, keys.macKey, keys.recordKey]) {
    for (const value of kept) expect(value).not.toContain(toHex(secret));
  }
});
