/** `rdv setup radio`: builds the native HCI socket, which an installation without a compiler leaves out. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { RdvError } from '@rdv/protocol/core/errors';
import type { Command } from './commander.js';
import { type CommonOptions, outputOf, withCommonOptions } from './shared.js';

const ADDON = '@abandonware/bluetooth-hci-socket';

/** Where npm has to work: the folder that holds node_modules with the addon. */
function installationRoot(): string {
  const manifest = createRequire(import.meta.url).resolve(`${ADDON}/package.json`);
  return manifest.slice(0, manifest.lastIndexOf('node_modules'));
}

function exitOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => {
    child.once('error', () => resolve(null));
    child.once('exit', resolve);
  });
}

/** In a process of its own, as the radio hosts load it. */
async function loads(cwd: string): Promise<boolean> {
  return (await exitOf(spawn(process.execPath, ['-e', `require('${ADDON}')`], { cwd, stdio: 'ignore' }))) === 0;
}

async function buildRadio(options: CommonOptions): Promise<void> {
  const out = outputOf(options);
  if (process.platform !== 'linux') {
    throw new RdvError(
      'unsupported',
      `the native HCI socket is for Linux, this is ${process.platform}: use serial: or virtual: adapters`,
    );
  }
  let cwd: string;
  try {
    cwd = installationRoot();
  } catch (cause) {
    throw new RdvError('adapter', `${ADDON} is not installed: run npm ci --ignore-scripts first`, { cause });
  }
  out.progress('building', {}, `building ${ADDON} (about 15 s) …`);
  const child = spawn('npm', ['rebuild', '--ignore-scripts=false', '--foreground-scripts', ADDON], {
    cwd,
    stdio: options.verbose ? ['ignore', 2, 2] : 'ignore',
  });
  // npm also succeeds when it finds nothing to do: what counts is whether the addon loads.
  if ((await exitOf(child)) !== 0 || !(await loads(cwd))) {
    throw new RdvError(
      'adapter',
      'the build failed: install a compiler ("sudo apt-get install -y build-essential python3") and run "rdv setup radio -v" again',
    );
  }
  out.result(
    { built: true },
    'built. To use it without root, give the service CAP_NET_RAW and CAP_NET_ADMIN: hardware/systemd/rdv.service does.',
  );
}

export function setupCommand(command: Command): Command {
  command.description('prepare this machine');
  withCommonOptions(command.command('radio'))
    .description('build the native HCI socket for hciN adapters')
    .action(buildRadio);
  return command;
}
