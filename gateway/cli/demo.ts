/** `rdv demo`, which `npm start` runs: the main job in under a minute, or with `--interactive` at your own pace. */
import { InvalidArgumentError } from '@rdv/protocol/core/errors';
import type { Command } from './commander.js';
import { interact } from './demo-interactive.js';
import { playDemo, timesText } from './demo-script.js';
import type { DemoOptions } from './demo-stage.js';
import type { Output } from './output.js';
import { type CommonOptions, outputOf, untilInterrupted } from './shared.js';

interface DemoFlags extends CommonOptions {
  readonly tag: string;
  readonly interactive?: boolean;
  readonly adapter?: string;
  readonly broker?: string;
  readonly pace: string;
}

const LABEL_WIDTH = 8;

function teller(out: Output): DemoOptions['tell'] {
  const started = performance.now();
  return (step, text, fields = {}) => {
    const atMs = Math.round(performance.now() - started);
    out.result(
      { step, text, atMs, ...fields },
      `${(atMs / 1000).toFixed(1).padStart(5)} s  ${step.padEnd(LABEL_WIDTH)}  ${text}`,
    );
  };
}

async function demo(flags: DemoFlags): Promise<void> {
  const out = outputOf(flags);
  const paceMs = Number(flags.pace);
  if (!(paceMs >= 0 && paceMs <= 10_000)) throw new InvalidArgumentError('--pace must be 0 to 10000 milliseconds');
  const interrupted = untilInterrupted();
  const options: DemoOptions = {
    tag: flags.tag,
    adapters: flags.adapter ? flags.adapter.split(',') : [],
    broker: flags.broker,
    paceMs: out.json ? 0 : paceMs,
    signal: interrupted.signal,
    tell: teller(out),
  };
  if (flags.interactive) return interact(options);
  const { times, view } = await playDemo(options);
  out.result(
    { step: 'times', times, view },
    `\nTimes taken:\n${timesText(times)}\n\nEvery step happened. Next: README.md, "A kiosk on a Raspberry Pi".`,
  );
}

export function demoCommand(command: Command): Command {
  return command
    .description('show the main job: beacon, gateway, broker, responders, a single-shot')
    .option('--tag <text>', 'the tag of the billboard', 'billboard on Rte. 101')
    .option('--interactive', 'type on both ends yourself')
    .option('--adapter <names>', 'real radios: the kiosk and the gateway, e.g. hci0,hci1 (default: a virtual air)')
    .option('--broker <url>', 'a real MQTT broker (default: one inside the demo)')
    .option('--pace <ms>', 'pause between steps', '600')
    .option('--json', 'one JSON value per line')
    .action(demo);
}
