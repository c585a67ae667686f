/** `rdv list`: the publications of the node. */
import type { PublicationInfo } from '../node/api.js';
import type { Command } from './commander.js';
import { table } from './output.js';
import { type CommonOptions, openNodeApi, outputOf, withCommonOptions } from './shared.js';

function row(info: PublicationInfo): string[] {
  const limit =
    info.lifecycle.kind === 'limited' ? `/${info.lifecycle.limit}` : info.lifecycle.kind === 'single' ? '/1' : '';
  return [
    info.handle,
    info.state,
    `${info.accepted}${limit}`,
    info.expiresAt === undefined ? '-' : new Date(info.expiresAt).toISOString().slice(0, 19),
    info.namespaces.join(' ') || '-',
    [info.title ?? '', info.others ? `(${info.others} other${info.others > 1 ? 's' : ''} under this tag)` : '']
      .filter((part) => part !== '')
      .join(' '),
  ];
}

export function listCommand(command: Command): Command {
  return withCommonOptions(command)
    .description('list the publications of the node, or of its store when none runs')
    .action(async (options: CommonOptions) => {
      const out = outputOf(options);
      const { api } = await openNodeApi({ realm: '', ...options }, { store: true, namespaces: false });
      try {
        const all = await api.list();
        out.result(
          all,
          all.length === 0
            ? 'nothing is published: see "rdv publish --help"'
            : table(['HANDLE', 'STATE', 'ACCEPTED', 'EXPIRES', 'NAMESPACES', 'TITLE'], all.map(row)),
        );
      } finally {
        await api.close();
      }
    });
}
