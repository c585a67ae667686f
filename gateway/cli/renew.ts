/** `rdv renew HANDLE|TAG --ttl TIME`: a publication ends later, sooner, or never. */
import { InvalidArgumentError } from '@rdv/protocol/core/errors';
import { parseDuration } from '../node/config.js';
import type { Command } from './commander.js';
import { withPublication } from './publication-target.js';
import { type NamespaceOptions, withNamespaceOptions } from './shared.js';

interface RenewOptions extends NamespaceOptions {
  readonly ttl?: string;
  readonly forever?: boolean;
}

export function renewCommand(command: Command): Command {
  return withNamespaceOptions(command)
    .description('let a publication end at another time, by handle or by the tag itself')
    .option('--ttl <time>', 'so long from now: seconds, or like 90s, 15m, 12h, 7d')
    .option('--forever', 'never')
    .action((operand: string | undefined, options: RenewOptions) => {
      if ((options.ttl === undefined) === (options.forever !== true)) {
        throw new InvalidArgumentError('until when? Give --ttl TIME or --forever');
      }
      const seconds = options.ttl === undefined ? undefined : parseDuration(options.ttl);
      return withPublication(operand, options, async (api, target, out) => {
        await api.renew(target, seconds);
        const end = seconds === undefined ? undefined : new Date(Date.now() + seconds * 1000);
        out.result(
          { renewed: true, expiresAt: end?.getTime() },
          end ? `it ends at ${end.toISOString().slice(0, 19)}Z` : 'it has no end any more',
        );
      });
    });
}
