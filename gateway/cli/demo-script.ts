/**
 * The main job, really done: a kiosk's beacon, a field gateway, responders on the internet and beside the kiosk, a
 * single-shot tag. Every player is the `rdv` command itself; every step is checked, and a step that did not happen
 * ends the demo with what to look at.
 */
import { join } from 'node:path';
import { RdvError } from '@rdv/protocol/core/errors';
import { Actor } from './demo-actor.js';
import { type BrokerView, viewOf } from './demo-broker-view.js';
import { type DemoOptions, SINGLE, type Stage, setStage } from './demo-stage.js';
import { EXIT } from './exit-codes.js';
import { duration } from './output.js';

/** How long whoever comes too late for a single-shot goes on looking. */
const LATECOMER_MS = 3000;

export interface DemoResult {
  readonly times: Readonly<Record<string, number>>;
  readonly view: BrokerView | undefined;
}

function expect(condition: boolean, what: string): asserts condition {
  if (!condition) throw new RdvError('internal', `the demo did not do what it should: ${what}`);
}

async function hear(stage: Stage, options: DemoOptions): Promise<void> {
  const started = performance.now();
  const passer = new Actor('passer-by', [
    'scan',
    '--json',
    '--seconds',
    '20',
    '--tag-file',
    stage.tagFile,
    ...stage.beside(),
  ]);
  stage.cleanUp.push(() => passer.stop());
  let heard = await passer.event('heard');
  while (heard['tag'] !== 0) heard = await passer.event('heard');
  stage.times['advert heard'] = performance.now() - started;
  await passer.stop();
  options.tell(
    'air',
    `on the air it is only ${String(heard['eid'])}, RSSI ${String(heard['rssi'])} dBm; who knows the tag recognises it`,
    {
      eid: heard['eid'],
    },
  );
}

async function meet(stage: Stage, options: DemoOptions): Promise<string[]> {
  const { tell } = options;
  const respond = (name: string, namespace: string, radio: readonly string[]): Actor => {
    const actor = new Actor(
      name,
      ['respond', '--json', '--namespace', namespace, ...radio, '--timeout', '30', '--tag-file', stage.tagFile],
      { data: true },
    );
    stage.cleanUp.push(() => actor.stop());
    return actor;
  };
  const started = performance.now();
  const ada = respond('Ada', stage.broker, ['--state', join(stage.directory, 'nobody')]);
  const ben = respond('Ben', 'ble:', stage.beside());
  const [adaOpen, benOpen] = await Promise.all([ada.event('open', 40_000), ben.event('open', 40_000)]);
  stage.times['both conversations open'] = performance.now() - started;
  stage.times['Ada: look-up to open (MQTT, through the gateway)'] = Number(adaOpen['tookMs']);
  stage.times['Ben: look-up to open (GATT)'] = Number(benOpen['tookMs']);
  const sas = (event: Readonly<Record<string, unknown>>): string =>
    (event['sas'] as { emoji: string } | null)?.emoji ?? '';
  tell('open', `Ada, on the internet (MQTT only), has a conversation:      ${sas(adaOpen)}`);
  tell('open', `Ben, beside the kiosk (Bluetooth only), has his own:       ${sas(benOpen)}`);
  expect(sas(adaOpen) !== sas(benOpen), 'two conversations have two short authentication strings');
  const said: string[] = [];
  for (const [actor, question, expected] of [
    [ada, 'When are you open?', 'Open 8 to 20, every day.'],
    [ben, 'Which door is it?', 'The blue door, round the corner.'],
  ] as const) {
    const greeting = await actor.line();
    const asked = performance.now();
    actor.say(question);
    const answer = await actor.line();
    stage.times[`${actor.name}: question to answer`] = performance.now() - asked;
    tell('talk', `${actor.name}: ${question}`);
    tell('talk', `  kiosk: ${answer}`);
    expect(answer === expected, `the kiosk answers ${actor.name} "${expected}", it was "${answer}"`);
    said.push(greeting, question, answer);
  }
  ada.endInput();
  ben.endInput();
  const codes = await Promise.all([ada.exited, ben.exited]);
  expect(
    codes.every((code) => code === 0),
    `both responders end with exit code 0, they were ${codes.join(' and ')}`,
  );
  tell('end', 'both ended cleanly');
  return said;
}

async function singleShot(stage: Stage, options: DemoOptions): Promise<string[]> {
  const { tell } = options;
  const ask = (name: string): Actor => {
    const state = ['--state', join(stage.directory, 'nobody')];
    const actor = new Actor(
      name,
      ['respond', '--json', '--namespace', stage.broker, ...state, '--timeout', '20', '--tag-file', stage.singleFile],
      {
        data: true,
      },
    );
    actor.endInput();
    stage.cleanUp.push(() => actor.stop());
    return actor;
  };
  const started = performance.now();
  // Both at once: exactly one can win, whoever that is.
  const actors = [ask('Cleo'), ask('Dora')];
  const first = await Promise.race(actors.map((actor, index) => actor.exited.then((code) => ({ index, code }))));
  const other = actors[1 - first.index]!;
  // A responder that looks only after the tag was used up finds nothing, and would wait for somebody to publish it.
  const patience = setTimeout(() => void other.stop(), LATECOMER_MS);
  const otherCode = await other.exited;
  clearTimeout(patience);
  stage.times['single-shot decided'] = performance.now() - started;
  const winner = first.code === 0 ? actors[first.index]! : other;
  const loser = winner === other ? actors[first.index]! : other;
  const codes = [first.code, otherCode];
  const refused = codes.includes(EXIT.refused);
  expect(
    codes.filter((code) => code === 0).length === 1 && (refused || codes.includes(EXIT.interrupted)),
    `one of two wins a single-shot and the other does not, exit codes were ${codes.join(', ')}`,
  );
  const code = await winner.line();
  expect(code === 'Code 4711.', `the winner is told the code, it was "${code}"`);
  tell('single', `"${SINGLE}" can be answered once: ${winner.name} was first and is told "${code}"`);
  if (refused) tell('single', `  ${loser.name} is turned away: ${String((await loser.event('error'))['message'])}`);
  else tell('single', `  ${loser.name} came a moment later and finds it published no more`);
  return [code, SINGLE];
}

function broker(stage: Stage, options: DemoOptions, secrets: readonly string[]): BrokerView | undefined {
  const { tell } = options;
  if (stage.sights.length === 0) {
    tell('broker', 'this broker is not ours: what it saw cannot be shown from here');
    return undefined;
  }
  const view = viewOf(stage.sights, secrets);
  tell(
    'broker',
    `the broker saw ${view.connections} connections, ${view.recordTopics} sealed records, ${view.queueTopics} queues, ${view.frames} frames:`,
  );
  for (const line of view.sample.slice(0, 6)) tell('broker', `    ${line}`);
  tell('broker', `  sizes of queue frames: ${view.frameSizes.join(', ')} B (padded)`);
  expect(view.links.length === 0, `nothing links a rendezvous with a conversation, but ${view.links.join(', ')}`);
  expect(view.queueTopics >= 4, 'conversations run on queues of their own');
  tell('broker', '  no id, topic, size or content in it links a rendezvous with its conversation.');
  tell(
    'broker',
    '  what does: the same connection carries both, moments apart. A broker sees that, and RDV does not hide it.',
  );
  return view;
}

/** Plays it all. @throws RdvError when a step did not happen */
export async function playDemo(options: DemoOptions): Promise<DemoResult> {
  const cleanUp: Stage['cleanUp'] = [];
  const pause = (): Promise<void> => {
    if (options.signal.aborted) throw new RdvError('canceled', 'interrupted');
    return new Promise((resolve) => setTimeout(resolve, options.paceMs));
  };
  try {
    const started = performance.now();
    const stage = await setStage(options, cleanUp);
    await pause();
    await hear(stage, options);
    await pause();
    const said = await meet(stage, options);
    await pause();
    said.push(...(await singleShot(stage, options)));
    await pause();
    const view = broker(stage, options, [options.tag, ...said]);
    stage.times['all of it'] = performance.now() - started;
    return { times: stage.times, view };
  } finally {
    for (const undo of cleanUp.reverse()) await undo();
  }
}

export function timesText(times: Readonly<Record<string, number>>): string {
  const width = Math.max(...Object.keys(times).map((name) => name.length));
  return Object.entries(times)
    .map(([name, ms]) => `  ${name.padEnd(width)}  ${duration(ms)}`)
    .join('\n');
}
