/** `rdv unpublish HANDLE|TAG`: takes a publication off every namespace. */
import type { Command } from './commander.js';
import { type NamespaceOptions, openNodeApi, operandAndNamespaces, outputOf, withNamespaceOptions } from './shared.js';
import { readTagText } from './tag-input.js';

const HANDLE = /^[0-9a-f]{32}$/;

export function unpublishCommand(command: Command): Command {
  return withNamespaceOptions(command)
    .description('un-publish, by handle (see "rdv list") or by the tag itself')
    .action(async (operand: string | undefined, given: NamespaceOptions) => {
      const { argument, options } = operandAndNamespaces(operand, given);
      const out = outputOf(options);
      const text = await readTagText({ argument, file: options.tagFile });
      const { api } = await openNodeApi(options, { store: true, namespaces: false });
      try {
        await api.unpublish(HANDLE.test(text) ? { handle: text } : { tag: text, realm: options.realm });
        out.result({ unpublished: true }, 'un-published; open conversations go on');
      } finally {
        await api.close();
      }
    });
}
