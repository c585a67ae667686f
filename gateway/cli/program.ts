/** The `rdv` command: its subcommands, one file each. A call loads only the one that it names. */
import { Command } from './commander.js';
import { EXIT_HELP } from './exit-codes.js';

type Define = (command: Command) => unknown;

/** In the order of the help. */
const COMMANDS: Readonly<Record<string, () => Promise<Define>>> = {
  publish: async () => (await import('./publish.js')).publishCommand,
  respond: async () => (await import('./respond.js')).respondCommand,
  resume: async () => (await import('./resume.js')).resumeCommand,
  conversations: async () => (await import('./conversations.js')).conversationsCommand,
  history: async () => (await import('./conversations.js')).historyCommand,
  forget: async () => (await import('./conversations.js')).forgetCommand,
  list: async () => (await import('./list.js')).listCommand,
  deactivate: async () => (await import('./deactivate.js')).deactivateCommand,
  activate: async () => (await import('./deactivate.js')).activateCommand,
  renew: async () => (await import('./renew.js')).renewCommand,
  unpublish: async () => (await import('./unpublish.js')).unpublishCommand,
  tag: async () => (await import('./tag.js')).tagCommand,
  scan: async () => (await import('./scan.js')).scanCommand,
  provision: async () => (await import('./provision.js')).provisionCommand,
  boards: async () => (await import('./boards.js')).boardsCommand,
  sightings: async () => (await import('./sightings.js')).sightingsCommand,
  nodes: async () => (await import('./nodes.js')).nodesCommand,
  status: async () => (await import('./status.js')).statusCommand,
  run: async () => (await import('./run.js')).runCommand,
  serve: async () => (await import('./serve.js')).serveCommand,
  acl: async () => (await import('./acl.js')).aclCommand,
  setup: async () => (await import('./setup.js')).setupCommand,
  demo: async () => (await import('./demo.js')).demoCommand,
};

/** @param name of the command that is called, if it is one */
export async function createProgram(version: string, name: string | undefined): Promise<Command> {
  const program = new Command('rdv')
    .description('Rendezvous over Bluetooth LE and the internet: meet by a tag, talk end-to-end encrypted.')
    .version(version)
    .exitOverride()
    // Its errors are reported like all others, in one line: see run-cli.ts.
    .configureOutput({ outputError: () => {} })
    .addHelpText('after', `\n${EXIT_HELP}`);
  const called = name !== undefined && Object.hasOwn(COMMANDS, name) ? [name] : Object.keys(COMMANDS);
  for (const each of called) (await COMMANDS[each]!())(program.command(each));
  return program;
}
