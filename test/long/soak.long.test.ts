// A kiosk, a field gateway and a broker at work for a minute (RDV_SOAK_SECONDS): conversation after conversation over
// real noble and bleno, through the bridge, and no more memory in use at the end than when everything was warm.
import type { Conversation } from '@rdv/protocol/conversation/api';
import { expect, it } from 'vitest';
import { newTag, Stage } from '../scenarios/stage.js';

const SECONDS = Number(process.env['RDV_SOAK_SECONDS'] ?? 60);
const MESSAGES = 10;
/**
 * What a conversation may leave behind: one end answers late frames for a day (SPEC §7), the publisher keeps the hash
 * of the response, bridge and broker the queues that are still subscribed.
 */
const LEFT_PER_CONVERSATION_BYTES = 32 * 1024;
const SLACK_BYTES = 4 * 1024 * 1024;

function used(): number {
  for (let i = 0; i < 3; i++) globalThis.gc!();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

async function echo(conversation: Conversation): Promise<void> {
  for await (const message of conversation) await conversation.send(message);
  await conversation.close();
}

it(`holds conversations through a bridge for ${SECONDS} s, without growing`, async () => {
  const stage = Stage.real();
  try {
    await stage.gateway(await stage.mqtt());
    const kiosk = await stage.kiosk();
    const tag = await newTag();
    const publication = await kiosk.publish(tag, { bridge: 'any' });
    void (async () => {
      for await (const conversation of publication) void echo(conversation).catch(() => {});
    })();
    const guest = await stage.mqtt();

    let held = 0;
    let last = 0;
    const one = async (): Promise<void> => {
      const conversation = await stage.respond(tag, [guest]);
      const answers = conversation[Symbol.asyncIterator]();
      for (let n = 0; n < MESSAGES; n++) {
        const message = stage.random(1 + ((held * 37 + n * 101) % 1500));
        void conversation.send(message).catch(() => {});
        expect((await answers.next()).value).toEqual(message);
      }
      await conversation.close();
      stage.sights.length = 0;
      held++;
    };
    const until = async (endMs: number): Promise<void> => {
      while (performance.now() < endMs) await one();
    };

    const started = performance.now();
    await until(started + (SECONDS * 1000) / 3);
    const [warm, heldWarm] = [used(), held];
    expect(heldWarm).toBeGreaterThan(2);
    await until(started + SECONDS * 1000);
    last = used();
    const grown = last - warm;
    console.log(
      `${held} conversations of ${MESSAGES} messages each way in ${SECONDS} s; ` +
        `${(warm / 1e6).toFixed(1)} MB in use after ${heldWarm}, ${(last / 1e6).toFixed(1)} MB at the end`,
    );
    expect(grown).toBeLessThan(SLACK_BYTES + (held - heldWarm) * LEFT_PER_CONVERSATION_BYTES);
  } finally {
    await stage.close();
  }
});
