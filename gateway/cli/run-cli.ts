/** One call of `rdv`, from its arguments to its exit code. Every failure ends in one line and a code of exit-codes.ts. */
import { readFileSync } from 'node:fs';
import { InvalidArgumentError } from '@rdv/protocol/core/errors';
import { CommanderError } from './commander.js';
import { EXIT } from './exit-codes.js';
import { reportError } from './output.js';
import { createProgram } from './program.js';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

/** @param args those after `rdv` */
export async function runCli(args: readonly string[]): Promise<number> {
  try {
    const program = await createProgram(version, args[0]);
    await program.parseAsync(args, { from: 'user' });
    return EXIT.ok;
  } catch (error) {
    const json = args.includes('--json');
    if (!(error instanceof CommanderError)) return reportError(error, json);
    if (error.exitCode === 0) return EXIT.ok;
    const what = error.code === 'commander.help' ? 'which one?' : error.message.replace(/^error: /, '');
    reportError(new InvalidArgumentError(`${what} (see --help)`), json);
    return EXIT.usage;
  }
}
