/** The `rdv` command: its subcommands, one file each. */
import { Command } from './commander.js';
import { demoCommand } from './demo.js';
import { EXIT_HELP } from './exit-codes.js';
import { listCommand } from './list.js';
import { publishCommand } from './publish.js';
import { respondCommand } from './respond.js';
import { runCommand } from './run.js';
import { scanCommand } from './scan.js';
import { setupCommand } from './setup.js';
import { statusCommand } from './status.js';
import { tagCommand } from './tag.js';
import { unpublishCommand } from './unpublish.js';

export function createProgram(version: string): Command {
  const program = new Command('rdv')
    .description('Rendezvous over Bluetooth LE and the internet: meet by a tag, talk end-to-end encrypted.')
    .version(version)
    // Its errors are reported like all others, in one line: see main.ts.
    .configureOutput({ outputError: () => {} })
    .addHelpText('after', `\n${EXIT_HELP}`);
  publishCommand(program.command('publish'));
  respondCommand(program.command('respond'));
  listCommand(program.command('list'));
  unpublishCommand(program.command('unpublish'));
  tagCommand(program.command('tag'));
  scanCommand(program.command('scan'));
  statusCommand(program.command('status'));
  runCommand(program.command('run'));
  setupCommand(program.command('setup'));
  demoCommand(program.command('demo'));
  return program;
}
