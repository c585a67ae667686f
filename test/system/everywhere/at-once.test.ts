/** One tag over everything at once: a publisher at a beacon, on a link, at a service and at a broker (SPEC §5, §7.5). */
import { fromUtf8, utf8 } from '@rdv/protocol/core/bytes';
import type { Namespace } from '@rdv/protocol/namespace/port';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { newTag, type Visitor } from '../../scenarios/stage.js';
import { counting } from '../../support/counting-namespace.js';
import { acceptedBy, echo, expectEchoed, outcomes, randomMessages } from '../../support/talk.js';
import { TcpProxy } from '../../support/tcp-proxy.js';
import { type Place, World } from './places.js';

const PLACES = ['ble', 'udp', 'http', 'mqtt'] as const satisfies readonly Place[];

let world: World;
beforeAll(async () => {
  world = await World.open();
});
afterEach(() => world.clear());
afterAll(() => world.close());

async function publishEverywhere(options: Parameters<World['publishAt']>[2] = {}) {
  const tag = await newTag();
  const kiosk = await world.kiosk;
  const namespaces = await Promise.all([world.end('udp'), world.end('http'), world.end('mqtt')]);
  const publication = await kiosk.publish(tag, options, { namespaces });
  return { tag, publication };
}

const everywhere = (): Promise<Namespace[]> => Promise.all(PLACES.map((place) => world.end(place)));

it('responders anywhere: one at each place and one at all of them, each in a conversation of their own', async () => {
  const { tag, publication } = await publishEverywhere();
  const accepted = echo(publication);
  const sets = [...(await everywhere()).map((one) => [one]), await everywhere()];
  const conversations = await Promise.all(sets.map((namespaces) => world.stage.respond(tag, namespaces)));
  await Promise.all(conversations.map((mine) => expectEchoed(mine, randomMessages(20, 0, 2000))));
  expect(accepted).toHaveLength(sets.length);
});

it('who responds everywhere at once is one responder: the duplicates collapse', async () => {
  const { tag, publication } = await publishEverywhere({ lifecycle: { limit: 2 } });
  const accepted = acceptedBy(publication);
  await world.stage.respond(tag, await everywhere());
  // What took longer ways arrives, and is known.
  await vi.waitFor(() => expect(publication.status.counts.repeated).toBeGreaterThan(0), { timeout: 10_000 });
  await new Promise((resolve) => setTimeout(resolve, 1500));
  expect([accepted.length, publication.status.accepted, publication.status.left]).toEqual([1, 1, 1]);
});

it('a single-shot everywhere: of nine who race from everywhere one wins', async () => {
  const { tag, publication } = await publishEverywhere({ lifecycle: 'single' });
  const accepted = acceptedBy(publication);
  // The beacon has four slots: three come there.
  const [b1, b2, ...others] = await Promise.all(
    (['ble', 'ble', 'udp', 'udp', 'http', 'http', 'mqtt', 'mqtt'] as const).map((place) => world.end(place)),
  );
  const sets = [[b1!], [b2!], ...others.map((one) => [one]), await everywhere()];
  const results = await Promise.allSettled(sets.map((namespaces) => world.stage.respond(tag, namespaces)));
  expect(outcomes(results)).toEqual({ won: 1, 'refused/consumed': 8 });
  expect(accepted).toHaveLength(1);
});

it('the responder takes the best way by itself, and another when that fails, down to the last one', async () => {
  const tag = await newTag();
  const kiosk = await world.kiosk;
  const broker = await TcpProxy.open(world.broker.ports.plain);
  const service = await TcpProxy.open(world.service.port);
  for (const proxy of [broker, service]) world.undo(() => proxy.close());
  const [theirs, mine] = await Promise.all([world.udp(), world.udp()]);
  for (const { namespace } of [theirs, mine]) world.undo(() => namespace.close());
  const publication = await kiosk.publish(
    tag,
    {},
    { namespaces: [theirs.namespace, await world.end('http'), await world.end('mqtt')] },
  );
  echo(publication);
  const visitor: Visitor = await world.stage.visitor();
  const ways = [
    { name: 'ble', ...counting(visitor.ble) },
    { name: 'udp', ...counting(mine.namespace) },
    { name: 'http', ...counting(await world.end('http', service.port)) },
    { name: 'mqtt', ...counting(await world.end('mqtt', broker.port)) },
  ];
  const cut: Record<string, (up: boolean) => void> = {
    ble: (up) => world.stage.air.setPath(kiosk.controller, visitor.controller, { up }),
    udp: (up) => {
      mine.port.cut = !up;
    },
    http: (up) => (up ? service.mend() : service.break()),
    mqtt: (up) => (up ? broker.mend() : broker.break()),
  };
  const conversation = await world.stage.respond(
    tag,
    ways.map(({ namespace }) => namespace),
  );
  const heard: string[] = [];
  const hearing = (async () => {
    for await (const message of conversation) heard.push(fromUtf8(message));
  })();
  let said = 0;
  let talking = true;
  const saying = (async () => {
    const pending = new Set<Promise<void>>();
    while (talking) {
      const sent = conversation.send(utf8(`${said++}`)).finally(() => pending.delete(sent));
      pending.add(sent);
      await new Promise((resolve) => setTimeout(resolve, 5));
      while (pending.size > 64) await Promise.race(pending);
    }
    await Promise.all(pending);
    await conversation.end();
  })();
  const gone = new Set<string>();
  /** The way that frames take from now on, told by what comes back: no more than 64 were under way before. */
  const carrier = async (): Promise<string> => {
    const [since, before] = [performance.now(), heard.length];
    await vi.waitFor(() => expect(heard.length).toBeGreaterThan(before + 128), { timeout: 60_000, interval: 5 });
    const counts = ways
      .filter(({ name }) => !gone.has(name))
      .map(({ name, sent }) => ({ name, frames: sent.filter((at) => at > since).length }));
    return counts.toSorted((a, b) => b.frames - a.frames)[0]!.name;
  };
  const taken: string[] = [];
  for (let failed = 0; failed < 4; failed++) {
    const now = await carrier();
    taken.push(now);
    if (failed === 3) break;
    gone.add(now);
    cut[now]!(false);
  }
  // What is cut carries nothing: each of the four was the only one of them, or one of the last, that was left.
  expect(new Set(taken).size).toBe(4);
  // The three come back, and the last one goes.
  for (const name of taken.slice(0, 3)) cut[name]!(true);
  gone.clear();
  await vi.waitFor(() => expect(ways.filter(({ namespace }) => namespace.state === 'up').length).toBeGreaterThan(2), {
    timeout: 60_000,
  });
  gone.add(taken[3]!);
  cut[taken[3]!]!(false);
  expect(await carrier()).not.toBe(taken[3]);
  talking = false;
  await saying;
  await hearing;
  for (const up of Object.values(cut)) up(true);
  expect(heard).toEqual(Array.from({ length: said }, (_, i) => `${i}`));
  console.log(JSON.stringify({ taken, said }));
});
