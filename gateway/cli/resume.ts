/** `rdv resume HANDLE`: goes on with a durable conversation that was begun by `rdv respond --durable`. */
import { InvalidArgumentError } from '@rdv/protocol/core/errors';
import { type Command, Option } from './commander.js';
import { converse } from './converse.js';
import { identityOf } from './identity-options.js';
import {
  type CommonOptions,
  openNodeApi,
  othersDone,
  outputOf,
  repeated,
  untilInterrupted,
  withCommonOptions,
} from './shared.js';

interface ResumeOptions extends CommonOptions {
  readonly namespace?: readonly string[];
  readonly adapter?: string;
  readonly identity?: string;
  readonly message?: readonly string[];
  readonly verify?: boolean;
}

/** 32 hexadecimal digits, as `rdv conversations` shows them. @throws InvalidArgumentError */
export function conversationHandle(text: string): string {
  if (/^[0-9a-f]{32}$/.test(text)) return text;
  throw new InvalidArgumentError(`"${text}" is no handle of a conversation: see "rdv conversations"`);
}

export function resumeCommand(command: Command): Command {
  return withCommonOptions(command)
    .description('go on with a durable conversation; interactive on a terminal, else a pipe')
    .argument('<handle>', 'see "rdv conversations"')
    .option('-n, --namespace <url...>', 'meet here from now on (default: where it was before)')
    .addOption(new Option('--adapter <name>', 'radio for ble:').env('RDV_ADAPTER'))
    .option('--identity <key>', 'prove to be this when asked: a PEM key file, agent:, cmd:PROGRAM')
    .option('--verify', 'ask the other end for a fresh proof before anything is said')
    .option('-m, --message <text>', 'send this (repeat it for several), print the answers, and end', repeated)
    .action(async (operand: string, options: ResumeOptions) => {
      const out = outputOf(options);
      const handle = conversationHandle(operand);
      const identity = await identityOf(options, out);
      const interrupted = untilInterrupted();
      const { namespace: _, ...rest } = options;
      const { api, others } = await openNodeApi({ realm: '', ...rest }, { store: true, namespaces: false });
      try {
        const conversation = await api.resume({ handle, namespaces: options.namespace, identity });
        const { message, verify } = options;
        await converse(
          conversation,
          { message, verify, handle, opened: 'taken up', fields: { resumed: true } },
          interrupted.signal,
          out,
        );
      } finally {
        await othersDone(others, out, interrupted);
        await api.close();
      }
    });
}
