/** `rdv unpublish HANDLE|TAG`: takes a publication off every namespace. */
import type { Command } from './commander.js';
import { withPublication } from './publication-target.js';
import { type NamespaceOptions, withNamespaceOptions } from './shared.js';

export function unpublishCommand(command: Command): Command {
  return withNamespaceOptions(command)
    .description('un-publish, by handle (see "rdv list") or by the tag itself')
    .action((operand: string | undefined, options: NamespaceOptions) =>
      withPublication(operand, options, async (api, target, out) => {
        await api.unpublish(target);
        out.result({ unpublished: true }, 'un-published; open conversations go on');
      }),
    );
}
