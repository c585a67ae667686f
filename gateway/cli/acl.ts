/** `rdv acl`: access rules for the broker, so that strangers neither list nor overwrite what is published there. */
import { InvalidArgumentError } from '@rdv/protocol/core/errors';
import { ACL_FORMATS, type AclFormat, formatAcl } from '../namespaces/mqtt-acl.js';
import { DEFAULT_BASE } from '../namespaces/mqtt-topics.js';
import type { Command } from './commander.js';
import { outputOf, repeated } from './shared.js';

interface AclCommandOptions {
  readonly json?: boolean;
  readonly base: string;
  readonly publisher?: readonly string[];
  readonly responder?: readonly string[];
  readonly operator?: readonly string[];
  readonly open?: boolean;
}

export function aclCommand(command: Command): Command {
  return command
    .description('write access rules for the MQTT broker')
    .argument('<format>', ACL_FORMATS.join(', '))
    .option('--publisher <user>', 'a broker user who may publish; may be repeated', repeated)
    .option('--responder <user>', 'a broker user who may only respond; may be repeated', repeated)
    .option('--operator <user>', 'a broker user who may read the state of nodes; may be repeated', repeated)
    .option('--open', 'anybody may respond, without a user (mosquitto-dynsec and emqx)')
    .option('--base <topic>', 'the topic prefix of the deployment', DEFAULT_BASE)
    .option('--json', 'the text as one JSON value')
    .addHelpText('after', '\nExample: rdv acl mosquitto --publisher kiosk --responder app > /etc/mosquitto/rdv.acl')
    .action((format: string, options: AclCommandOptions) => {
      if (!(ACL_FORMATS as readonly string[]).includes(format)) {
        throw new InvalidArgumentError(`"${format}" is no format here: there are ${ACL_FORMATS.join(', ')}`);
      }
      const text = formatAcl(format as AclFormat, {
        base: options.base,
        publishers: options.publisher ?? [],
        responders: options.responder ?? [],
        operators: options.operator ?? [],
        open: options.open === true,
      });
      outputOf(options).result({ format, text }, text.trimEnd());
    });
}
