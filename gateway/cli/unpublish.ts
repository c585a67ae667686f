/** `rdv unpublish HANDLE|TAG`: takes a publication off every namespace. */
import type { Command } from './commander.js';
import { type NamespaceOptions, openNodeApi, operandAndNamespaces, outputOf, withNamespaceOptions } from './shared.js';
import { readTag } from './tag-input.js';

const HANDLE = /^[0-9a-f]{32}$/;

export function unpublishCommand(command: Command): Command {
  return withNamespaceOptions(command)
    .description('un-publish, by handle (see "rdv list") or by the tag itself')
    .action(async (operand: string | undefined, given: NamespaceOptions) => {
      const { argument, options: said } = operandAndNamespaces(operand, given);
      const out = outputOf(said);
      const { tag, options } = await readTag({ argument, file: said.tagFile }, said);
      const { api } = await openNodeApi(options, { store: true, namespaces: false });
      try {
        await api.unpublish(HANDLE.test(tag) ? { handle: tag } : { tag, realm: options.realm });
        out.result({ unpublished: true }, 'un-published; open conversations go on');
      } finally {
        await api.close();
      }
    });
}
