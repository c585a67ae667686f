/** Entry of the `rdv` command: what concerns the process. */
import { EXIT } from './exit-codes.js';
import { runCli } from './run-cli.js';

// A reader that went away (`rdv scan | head`) is no failure of ours. A command that is a pipe looks after it itself.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (process.stdout.listenerCount('error') === 1) process.exit(error.code === 'EPIPE' ? EXIT.ok : EXIT.failed);
});
process.stderr.on('error', () => {});

const exitCode = await runCli(process.argv.slice(2));
// What is still open by now (a vendor's poll timer, say) must not hold the process; output is flushed first.
await new Promise<void>((resolve) => process.stdout.write('', () => resolve()));
process.exit(exitCode);
