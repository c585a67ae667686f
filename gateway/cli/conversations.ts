/** `rdv conversations`, `rdv history`, `rdv forget`: the durable conversations of the node. */
import { InvalidArgumentError } from '@rdv/protocol/core/errors';
import type { ConversationInfo, NodeApi } from '../node/api.js';
import { trustFromJson } from '../node/trust-json.js';
import type { Command } from './commander.js';
import { trustText } from './identity-options.js';
import { type Output, table } from './output.js';
import { conversationHandle } from './resume.js';
import { type CommonOptions, openNodeApi, outputOf, withCommonOptions } from './shared.js';

async function withNode(options: CommonOptions, work: (api: NodeApi, out: Output) => Promise<void>): Promise<void> {
  const { api } = await openNodeApi({ realm: '', ...options }, { store: true, namespaces: false });
  try {
    await work(api, outputOf(options));
  } finally {
    await api.close();
  }
}

const time = (unixMs: number): string => new Date(unixMs).toISOString().slice(0, 19);

function row(info: ConversationInfo): string[] {
  const waiting = info.unacknowledged > 0 ? ` (${info.unacknowledged} waiting)` : '';
  return [
    info.handle,
    info.role,
    info.state,
    time(info.since),
    `${info.sent}${waiting}`,
    String(info.delivered),
    [info.title ?? '', trustText(trustFromJson(info.trust), 'other end')].filter((part) => part !== '').join(' · '),
  ];
}

export function conversationsCommand(command: Command): Command {
  return withCommonOptions(command)
    .description('list the durable conversations of the node, or of its store when none runs')
    .action((options: CommonOptions) =>
      withNode(options, async (api, out) => {
        const all = await api.conversations();
        out.result(
          all,
          all.length === 0
            ? 'no conversation is kept: see --durable of "rdv respond" and "rdv publish"'
            : table(['HANDLE', 'THIS END', 'STATE', 'SINCE', 'SENT', 'RECEIVED', ''], all.map(row)),
        );
      }),
    );
}

interface HistoryOptions extends CommonOptions {
  readonly after: string;
  readonly limit: string;
}

export function historyCommand(command: Command): Command {
  return withCommonOptions(command)
    .description('show what was said in a durable conversation that keeps its history')
    .argument('<handle>', 'see "rdv conversations"')
    .option('--after <index>', 'only what comes after this entry', '0')
    .option('--limit <n>', 'so many entries at most, 1 to 1000', '100')
    .action((operand: string, options: HistoryOptions) => {
      const handle = conversationHandle(operand);
      const [after, limit] = [Number(options.after), Number(options.limit)];
      if (!Number.isSafeInteger(after) || after < 0) throw new InvalidArgumentError('--after expects an index, from 0');
      if (!Number.isInteger(limit) || limit < 1 || limit > 1000)
        throw new InvalidArgumentError('--limit expects 1 to 1000');
      return withNode(options, async (api, out) => {
        const { entries, newest, oldest } = await api.history(handle, { after, limit });
        for (const { message, ...entry } of entries) {
          const text = new TextDecoder().decode(message);
          const shown = { ...entry, text, base64: Buffer.from(message).toString('base64') };
          out.result(
            shown,
            `${String(entry.index).padStart(5)}  ${time(entry.at)}  ${entry.direction === 'sent' ? '>' : '<'} ${text}`,
          );
        }
        const last = entries.at(-1)?.index ?? newest;
        const more = last < newest ? `; more with --after ${last}` : '';
        const none =
          newest === 0
            ? 'it keeps no history, or nothing was said yet'
            : `newest entry ${newest}, oldest kept ${oldest}${more}`;
        out.progress('history', { newest, oldest }, none);
      });
    });
}

export function forgetCommand(command: Command): Command {
  return withCommonOptions(command)
    .description('delete what is kept of a durable conversation, its history too')
    .argument('<handle>', 'see "rdv conversations"')
    .action((operand: string, options: CommonOptions) => {
      const handle = conversationHandle(operand);
      return withNode(options, async (api, out) => {
        await api.forget(handle);
        out.result({ forgotten: true }, 'forgotten; the other end finds this one unreachable');
      });
    });
}
