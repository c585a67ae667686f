/**
 * A conversation between a kiosk and somebody beside it, over real GATT (bleno, noble) and a real MQTT client at once,
 * while the air and the broker's connections are cut and restored at random (seeded).
 */
import { fromUtf8, utf8 } from '@rdv/protocol/core/bytes';
import { seededNumbers } from '@rdv/protocol/namespace/lossy';
import { expect } from 'vitest';
import { acceptedBy } from '../support/talk.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { newTag, Stage } from './stage.js';

/** Both ends send `count` numbered messages. @returns how often something was cut, and where frames went */
export async function roam(count: number, seed: number): Promise<{ cuts: { air: number; broker: number } }> {
  const stage = Stage.real();
  const proxies: TcpProxy[] = [];
  try {
    const broker = await stage.openBroker();
    const mqtt = async () => {
      const proxy = await TcpProxy.open(broker.port);
      proxies.push(proxy);
      return stage.mqtt(proxy.port);
    };
    const tag = await newTag();
    const kiosk = await stage.kiosk();
    const visitor = await stage.visitor();
    const accepted = acceptedBy(await kiosk.publish(tag, {}, { namespaces: [await mqtt()] }));
    const mine = await stage.respond(tag, [visitor.ble, await mqtt()]);
    await stage.until(() => accepted.length === 1);
    const theirs = accepted[0]!;

    const next = seededNumbers(seed);
    const cuts = { air: 0, broker: 0 };
    const broken = new Set<number>();
    let going = true;
    /** One of the three ways (the air, either connection) changes; never are all of them gone for long. */
    const change = (): void => {
      const which = Math.floor(next() * 3);
      const cut = !broken.has(which);
      if (cut) broken.add(which);
      else broken.delete(which);
      if (which === 0) {
        stage.air.setPath(kiosk.controller, visitor.controller, { up: !cut });
        if (cut) cuts.air++;
      } else {
        if (cut) {
          proxies[which - 1]!.break();
          cuts.broker++;
        } else proxies[which - 1]!.mend();
      }
    };
    const cutting = (async () => {
      while (going) {
        await new Promise((resolve) => setTimeout(resolve, 50 + next() * 400));
        if (going) change();
      }
      for (const which of broken) {
        if (which === 0) stage.air.setPath(kiosk.controller, visitor.controller, { up: true });
        else proxies[which - 1]!.mend();
      }
    })();

    const hear = async (conversation: typeof mine): Promise<string[]> => {
      const heard: string[] = [];
      for await (const message of conversation) heard.push(fromUtf8(message));
      return heard;
    };
    const say = async (conversation: typeof mine, name: string): Promise<void> => {
      const pending: Promise<void>[] = [];
      for (let i = 0; i < count; i++) {
        pending.push(conversation.send(utf8(`${name}${i}`)));
        if (pending.length >= 64) await pending.shift();
        // Spread over the cuts, rather than all between two of them.
        if (i % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 50));
      }
      await Promise.all(pending);
      await conversation.end();
    };
    const hearing = Promise.all([hear(theirs), hear(mine)]);
    await Promise.all([say(mine, 'r'), say(theirs, 'p')]);
    going = false;
    await cutting;
    const [there, back] = await hearing;
    expect(there).toEqual(Array.from({ length: count }, (_, i) => `r${i}`));
    expect(back).toEqual(Array.from({ length: count }, (_, i) => `p${i}`));
    return { cuts };
  } finally {
    for (const proxy of proxies) proxy.mend();
    await stage.close();
    await Promise.all(proxies.map((proxy) => proxy.close()));
  }
}
