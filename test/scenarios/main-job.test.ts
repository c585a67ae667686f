/**
 * The main job: a kiosk without internet advertises a tag; a field gateway that does not know it hears, visits and
 * bridges; somebody on the internet and somebody beside the kiosk converse with it at the same time.
 */
import type { BrokerSight } from '@rdv/gateway/server/embedded-broker';
import { utf8 } from '@rdv/protocol/core/bytes';
import { decodeRecord } from '@rdv/protocol/record/envelope';
import { epochOf, TagSecret } from '@rdv/protocol/tag/derived';
import { parseTag } from '@rdv/protocol/tag/tag';
import { afterEach, describe, expect, it } from 'vitest';
import { echo, expectEchoed, randomMessages } from '../support/talk.js';
import { Stage } from './stage.js';

type Published = BrokerSight & { readonly kind: 'publish' };

/** What was sent to the broker under `<base>/1/<kind>/`. */
function published(sights: readonly BrokerSight[], kind: 'r' | 'q'): readonly Published[] {
  return sights.filter(
    (sight): sight is Published => sight.kind === 'publish' && sight.topic.startsWith(`rdv/1/${kind}/`),
  );
}

/** Which of `secrets` stands somewhere in topics, client names or payloads, as bytes, hexadecimal or base64url. */
function leaked(sights: readonly BrokerSight[], secrets: Readonly<Record<string, Uint8Array>>): string[] {
  const seen = sights.flatMap((sight) => [
    Buffer.from(`${sight.client} ${'topic' in sight ? sight.topic : ''}`),
    ...(sight.kind === 'publish' ? [Buffer.from(sight.payload)] : []),
  ]);
  return Object.entries(secrets)
    .filter(([, secret]) => {
      const bytes = Buffer.from(secret);
      const forms = [bytes, Buffer.from(bytes.toString('hex')), Buffer.from(bytes.toString('base64url'))];
      return seen.some((where) => forms.some((form) => where.includes(form)));
    })
    .map(([name]) => name);
}

describe('the main job', () => {
  let stage: Stage;
  afterEach(() => stage.close());

  it('is done over real stacks and a real broker, which learns nothing', async () => {
    stage = Stage.real();
    const text = 'billboard on Rte. 101';
    const tag = await TagSecret.fromTag(parseTag(text));
    const kiosk = await stage.kiosk();
    // It gets a radio, a broker and its own key.
    const gateway = await stage.gateway(await stage.mqtt());
    const publication = await kiosk.publish(tag, { metadata: { title: 'a title in the record' } });
    const accepted = echo(publication);
    const visitor = await stage.visitor();
    const far = await stage.mqtt();
    const hello = { here: utf8('hello, I stand here'), there: utf8('hello, I am far away') };
    const [here, there] = await Promise.all([
      stage.respond(tag, [visitor.ble], { hello: hello.here }),
      stage.respond(tag, [far], { hello: hello.there }),
    ]);
    const [near, distant] = [randomMessages(40, 0, 3000), randomMessages(40, 0, 3000)];
    await Promise.all([expectEchoed(here, near), expectEchoed(there, distant)]);

    expect(accepted.map((conversation) => conversation.hello)).toEqual(expect.arrayContaining(Object.values(hello)));
    expect(accepted).toHaveLength(2);
    // One a day: in the last hour of one, that of the next is out as well.
    const days = new Set(published(stage.sights, 'r').map(({ topic }) => topic)).size;
    expect(gateway.status).toMatchObject({ records: days, refused: 0 });
    expect(days).toBeLessThanOrEqual(2);

    const { beaconKey } = tag;
    const { psk, lookupKey, recordKey, macKey } = tag.epoch(epochOf(Date.now() / 1000));
    const secrets: Record<string, Uint8Array> = { text: utf8(text), title: utf8('a title in the record'), ...hello };
    Object.assign(secrets, { beaconKey, psk, lookupKey, recordKey, macKey });
    for (const [i, message] of [...near, ...distant].entries()) {
      if (message.length >= 16) secrets[`message ${i}`] = message.subarray(0, 16);
    }
    expect(Object.keys(secrets).length).toBeGreaterThan(80);
    expect(leaked(stage.sights, secrets)).toEqual([]);
    // What was said from far away went through the broker, or this would show nothing.
    const queues = new Set(published(stage.sights, 'q').map(({ topic }) => topic.split('/')[3]!));
    expect(queues.size).toBeGreaterThanOrEqual(4);
    // And no record names a queue.
    const records = published(stage.sights, 'r').map((sight): BrokerSight => ({ ...sight, topic: '' }));
    const names = [...queues].map((queue) => [queue, new Uint8Array(Buffer.from(queue, 'base64url'))]);
    expect(leaked(records, Object.fromEntries(names))).toEqual([]);

    await publication.unpublish();
    await stage.until(() => decodeRecord(published(stage.sights, 'r').at(-1)!.payload).tombstone);
  }, 120_000);
});
