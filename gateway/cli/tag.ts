/** `rdv tag`: make a tag, look at one, and what a beacon sends for a key. Everything here works off line. */
import { systemClock, systemRandom } from '@rdv/hardware/host/system';
import { fromHex, toHex } from '@rdv/protocol/core/bytes';
import { BEACON_KEY_BYTES } from '@rdv/protocol/core/constants';
import { InvalidArgumentError } from '@rdv/protocol/core/errors';
import { epochOf, TagSecret } from '@rdv/protocol/tag/derived';
import { eidAt } from '@rdv/protocol/tag/eid';
import { costOfGuessing, estimateEntropyBits, measureStretching, WARN_BELOW_BITS } from '@rdv/protocol/tag/entropy';
import type { BeaconClock } from '@rdv/protocol/tag/link';
import { realmOf } from '@rdv/protocol/tag/secret';
import { formatTag, newRandomTag } from '@rdv/protocol/tag/tag';
import { parseAnyTag } from '../identity/any-tag.js';
import type { Command } from './commander.js';
import { type CommonOptions, outputOf, type TagOptions, withTagOptions } from './shared.js';
import { readTag } from './tag-input.js';
import { linkCommands } from './tag-link.js';

interface InspectOptions extends TagOptions {
  readonly at?: string;
  readonly warnBelow: string;
}

function seconds(value: string): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number) || number < 0 || number >= 2 ** 32) {
    throw new InvalidArgumentError(`--at expects unix seconds, 0 to 4294967295, got "${value}"`);
  }
  return number;
}

const UNITS: readonly [number, string][] = [
  [1e12, 'trillion'],
  [1e9, 'billion'],
  [1e6, 'million'],
];

/** `3`, `40 000`, `2.1 billion`, `more than 10^15`. */
export function roughly(value: number): string {
  if (value >= 1e15) return `more than 10^${Math.floor(Math.log10(value))}`;
  for (const [size, name] of UNITS) if (value >= size) return `${(value / size).toPrecision(2)} ${name}`;
  if (value >= 1000) return Math.round(value).toLocaleString('en').replaceAll(',', ' ');
  return value >= 10 ? String(Math.round(value)) : value.toPrecision(2);
}

/** What the tag's beacon sends at `at`: ours, or a stock one by its own clock. */
function eidOf(secret: TagSecret, at: number, beacon: BeaconClock | undefined): Uint8Array {
  if (!beacon) return eidAt(secret.beaconKey, at);
  const clock = at + beacon.offsetSeconds;
  if (!(clock >= 0 && clock < 2 ** 32))
    throw new InvalidArgumentError('at that moment the clock of the beacon shows nothing');
  return eidAt(secret.beaconKey, clock, beacon.exponent);
}

async function inspect(argument: string | undefined, options: InspectOptions): Promise<void> {
  const out = outputOf(options);
  const given = await readTag({ argument, file: options.tagFile }, options);
  const tag = await parseAnyTag(given.tag);
  const realm = realmOf(given.options.realm);
  const warnBelow = Number(options.warnBelow);
  if (!(warnBelow >= 0 && warnBelow <= 256)) throw new InvalidArgumentError('--warn-below expects bits, 0 to 256');
  const bits = estimateEntropyBits(tag);
  const at = options.at === undefined ? Math.floor(systemClock.now() / 1000) : seconds(options.at);
  const secret = await TagSecret.fromTag(tag, realm);
  const epoch = epochOf(at);
  const values = { epoch, id: toHex(secret.epoch(epoch).id), eid: toHex(eidOf(secret, at, given.beacon)) };
  const perGuess = tag.kind === 'random' ? 0 : await measureStretching(systemClock);
  const cost = costOfGuessing(bits, perGuess);
  const weak = bits < warnBelow;
  const price =
    tag.kind === 'random'
      ? 'nobody guesses 128 random bits'
      : `about ${roughly(cost.coreYears)} core years, ${roughly(cost.usd)} US dollars (${Math.round(perGuess * 1000)} ms a guess here)`;
  const uri = tag.fingerprint && formatTag(tag);
  out.result(
    {
      kind: tag.kind,
      ...(tag.fingerprint && { fingerprint: toHex(tag.fingerprint), uri }),
      ...values,
      entropyBits: Math.round(bits),
      guessing: { ...cost, secondsPerGuess: perGuess },
      weak,
    },
    [
      `kind      ${tag.kind}`,
      ...(tag.fingerprint ? [`key       ${toHex(tag.fingerprint)}`, `the same  ${uri}`] : []),
      `entropy   ${Math.round(bits)} bits, a rough estimate${weak ? ` — under ${warnBelow}: whoever wants to can guess it` : ''}`,
      `guessing  ${price}`,
      `at ${new Date(at * 1000).toISOString().slice(0, 19)}Z`,
      `  epoch   ${values.epoch}`,
      `  id      ${values.id}`,
      `  eid     ${values.eid}`,
      ...(weak
        ? [
            tag.fingerprint
              ? 'Whoever has the key finds it; only who holds its private half is believed to be the publisher.'
              : 'A random tag cannot be guessed: rdv tag new',
          ]
        : []),
    ].join('\n'),
  );
}

function create(options: CommonOptions & { words?: boolean }): void {
  const tag = newRandomTag(systemRandom);
  const text = formatTag(tag, options.words ? 'words' : 'groups');
  outputOf(options).result({ tag: text }, text);
}

function eid(options: CommonOptions & { key: string; at: string; k: string }): void {
  let key: Uint8Array;
  try {
    key = fromHex(options.key);
  } catch (cause) {
    throw new InvalidArgumentError('--key expects 32 hexadecimal digits', { cause });
  }
  if (key.length !== BEACON_KEY_BYTES) throw new InvalidArgumentError('--key expects 32 hexadecimal digits');
  const exponent = Number(options.k);
  if (!Number.isInteger(exponent) || exponent < 0 || exponent > 15)
    throw new InvalidArgumentError('--k expects 0 to 15');
  const value = toHex(eidAt(key, seconds(options.at), exponent));
  outputOf(options).result({ eid: value }, value);
}

export function tagCommand(command: Command): Command {
  command.description('make and inspect tags');
  command
    .command('new')
    .description('make a random tag that cannot be guessed')
    .option('--words', 'as words, to be spoken')
    .option('--json', 'as JSON')
    .action(create);
  withTagOptions(command.command('inspect'))
    .description('kind, entropy, cost of guessing, and what travels for it')
    .option('--at <unix-seconds>', 'at this moment (default: now)')
    .option('--warn-below <bits>', 'call it weak under this many bits', String(WARN_BELOW_BITS))
    .action(inspect);
  linkCommands(command);
  command
    .command('eid')
    .description('the ephemeral id of a beacon key at a moment (Eddystone-EID)')
    .requiredOption('--key <hex16>', 'beacon key, 16 bytes in hex')
    .requiredOption('--at <unix-seconds>', 'moment, unix seconds')
    .option('--k <exponent>', 'a window is 2^k seconds', '10')
    .option('--json', 'as JSON')
    .action(eid);
  return command;
}
