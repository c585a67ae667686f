/** `rdv tag link` and `rdv tag qr`: a tag for phones. Everything here works off line. */

import { EID_EXPONENT } from '@rdv/protocol/core/constants';
import { InvalidArgumentError } from '@rdv/protocol/core/errors';
import { type BeaconClock, formatLink } from '@rdv/protocol/tag/link';
import { realmOf } from '@rdv/protocol/tag/secret';
import { formatTag } from '@rdv/protocol/tag/tag';
import { parseAnyTag } from '../identity/any-tag.js';
import { parseNamespaceUrl } from '../namespaces/parse-url.js';
import { type Command, Option } from './commander.js';
import { qrText, writeQr } from './qr-code.js';
import { operandAndNamespaces, outputOf, type TagOptions, withTagOptions } from './shared.js';
import { readTag } from './tag-input.js';

interface LinkOptions extends TagOptions {
  readonly namespace?: readonly string[];
  readonly png?: string;
  readonly svg?: string;
  readonly beaconOffset?: string;
  readonly beaconK?: string;
}

/** What was read of a stock beacon when the tag's beacon key was put on it. */
function beaconOf({ beaconOffset, beaconK }: LinkOptions): BeaconClock | undefined {
  if (beaconOffset === undefined && beaconK === undefined) return undefined;
  const [offsetSeconds, exponent] = [Number(beaconOffset ?? 0), Number(beaconK ?? EID_EXPONENT)];
  if (!Number.isSafeInteger(offsetSeconds) || Math.abs(offsetSeconds) >= 2 ** 32) {
    throw new InvalidArgumentError('--beacon-offset expects seconds: what the beacon’s clock shows, less unix time');
  }
  if (!Number.isInteger(exponent) || exponent < 0 || exponent > 15) {
    throw new InvalidArgumentError('--beacon-k expects 0 to 15');
  }
  return { offsetSeconds, exponent };
}

/** Identity tags become their fingerprint: all spellings of a key are one tag, and this is the shortest one. */
async function linkOf(operand: string | undefined, given: LinkOptions): Promise<string> {
  const { argument, options: said } = operandAndNamespaces(operand, given);
  const { tag: text, options, beacon: known } = await readTag({ argument, file: said.tagFile }, said);
  const tag = await parseAnyTag(text);
  realmOf(options.realm);
  for (const url of options.namespace ?? []) parseNamespaceUrl(url);
  const beacon = beaconOf(given) ?? known;
  const link = formatLink({
    tag: formatTag(tag),
    realm: options.realm,
    namespaces: options.namespace ?? [],
    ...(beacon && { beacon }),
  });
  // Capitals alone make a smaller code, and random tags do not mind.
  return tag.kind === 'random' && !link.includes('?') ? link.toUpperCase() : link;
}

async function print(operand: string | undefined, options: LinkOptions): Promise<void> {
  const link = await linkOf(operand, options);
  outputOf(options).result({ link }, link);
}

async function draw(operand: string | undefined, options: LinkOptions): Promise<void> {
  if (options.png !== undefined && options.svg !== undefined)
    throw new InvalidArgumentError('give --png or --svg, not both');
  const link = await linkOf(operand, options);
  const out = outputOf(options);
  if (options.png !== undefined) await writeQr(link, 'png', options.png);
  if (options.svg !== undefined) await writeQr(link, 'svg', options.svg);
  const file = options.png ?? options.svg;
  if (file !== undefined) out.result({ link, file }, `written to ${file}; whoever sees it knows the tag`);
  else out.result({ link }, options.json ? '' : `${await qrText(link, process.stdout.isTTY === true)}\n${link}`);
}

function withLinkOptions(command: Command): Command {
  return withTagOptions(command)
    .addOption(
      new Option('-n, --namespace <url...>', 'a hint where to meet: goes into the link, without users and files'),
    )
    .option('--beacon-offset <seconds>', 'a stock Eddystone beacon carries the key: its clock less unix time')
    .option('--beacon-k <exponent>', 'likewise: its window is 2^k seconds (default: 10)');
}

/** Adds both to `rdv tag`. */
export function linkCommands(command: Command): void {
  withLinkOptions(command.command('link'))
    .description('the tag as an rdv: link, for NFC tags and messages; commands take it in place of the tag')
    .action(print);
  withLinkOptions(command.command('qr'))
    .description('the link as a QR code, on the terminal or in a file')
    .option('--png <file>', 'as a picture')
    .option('--svg <file>', 'as a drawing')
    .action(draw);
}
