/** `rdv deactivate` and `rdv activate`: a publication out of sight for a while, conversations going on. */
import type { Command } from './commander.js';
import { withPublication } from './publication-target.js';
import { type NamespaceOptions, withNamespaceOptions } from './shared.js';

export function deactivateCommand(command: Command): Command {
  return withNamespaceOptions(command)
    .description('take a publication off every namespace until "rdv activate", by handle or by the tag itself')
    .action((operand: string | undefined, options: NamespaceOptions) =>
      withPublication(operand, options, async (api, target, out) => {
        await api.deactivate(target);
        out.result({ active: false }, 'nobody finds it now; open conversations go on; back with "rdv activate"');
      }),
    );
}

export function activateCommand(command: Command): Command {
  return withNamespaceOptions(command)
    .description('bring a deactivated publication back, by handle or by the tag itself')
    .action((operand: string | undefined, options: NamespaceOptions) =>
      withPublication(operand, options, async (api, target, out) => {
        await api.activate(target);
        out.result({ active: true }, 'it is published again');
      }),
    );
}
