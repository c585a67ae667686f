/** Entry of the `rdv` command. Every failure ends in one line and an exit code; see exit-codes.ts. */
import { readFileSync } from 'node:fs';
import { InvalidArgumentError } from '@rdv/protocol/core/errors';
import { CommanderError } from './commander.js';
import { EXIT } from './exit-codes.js';
import { reportError } from './output.js';
import { createProgram } from './program.js';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

// A reader that went away (`rdv scan | head`) is no failure of ours. A command that is a pipe looks after it itself.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (process.stdout.listenerCount('error') === 1) process.exit(error.code === 'EPIPE' ? EXIT.ok : EXIT.failed);
});
process.stderr.on('error', () => {});

const program = createProgram(version);
const overrideExit = (command: typeof program): void => {
  command.exitOverride();
  command.commands.forEach(overrideExit);
};
overrideExit(program);

let exitCode: number = EXIT.ok;
try {
  await program.parseAsync();
} catch (error) {
  const json = process.argv.includes('--json');
  if (!(error instanceof CommanderError)) exitCode = reportError(error, json);
  else if (error.exitCode !== 0) {
    exitCode = EXIT.usage;
    const what = error.code === 'commander.help' ? 'which one?' : error.message.replace(/^error: /, '');
    reportError(new InvalidArgumentError(`${what} (see --help)`), json);
  }
}
// What is still open by now (a vendor's poll timer, say) must not hold the process; output is flushed first.
await new Promise<void>((resolve) => process.stdout.write('', () => resolve()));
process.exit(exitCode);
