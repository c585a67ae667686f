/**
 * The seam: RDV's class takes the place of `@abandonware/bluetooth-hci-socket` in Node's module cache, so that
 * unpatched noble and bleno run over any `HciTransport`, several instances in one process, and load on a kernel
 * without Bluetooth (SPEC §8, radios). The native addon is never loaded through here (`native-socket.ts` does).
 *
 * Loads no vendor package itself: the adapter files hand in their URL and construct inside `withAdapter`.
 */
import { createRequire, Module } from 'node:module';
import { dirname, sep } from 'node:path';
import { InvalidArgumentError, RdvError } from '@rdv/protocol/core/errors';
import { VendorSocket } from './vendor-socket.js';

const SOCKET = '@abandonware/bluetooth-hci-socket';

/** The stacks whose socket the seam replaces. */
export const VENDOR_STACKS: readonly string[] = ['@abandonware/noble', '@abandonware/bleno'];

/**
 * Puts the seam in place for every stack of `VENDOR_STACKS` that resolves from `fromUrl`. Call it before any of
 * them is loaded; again is fine.
 * @param fromUrl `import.meta.url` of a module that can reach the stacks
 * @throws RdvError `adapter` when no stack can be reached, or one was loaded with the native socket already
 */
export function installSeam(fromUrl: string | URL): void {
  const require = createRequire(fromUrl);
  const sockets = new Set<string>();
  for (const stack of VENDOR_STACKS) {
    const socket = socketOf(require, stack);
    if (socket !== undefined) sockets.add(socket);
  }
  if (sockets.size === 0) {
    throw new RdvError('adapter', 'neither noble nor bleno is installed: run "npm ci --ignore-scripts"');
  }
  for (const id of sockets) replace(require, id);
}

function socketOf(require: NodeJS.Require, stack: string): string | undefined {
  try {
    return createRequire(require.resolve(`${stack}/package.json`)).resolve(SOCKET);
  } catch {
    return undefined;
  }
}

function replace(require: NodeJS.Require, id: string): void {
  const cached = require.cache[id];
  if (cached?.exports === VendorSocket) return;
  if (cached !== undefined) {
    throw new RdvError('adapter', 'a Bluetooth stack was loaded before the seam: install the seam first');
  }
  const module = new Module(id);
  module.filename = id;
  module.loaded = true;
  module.exports = VendorSocket;
  require.cache[id] = module;
}

/**
 * Loads a new copy of `stack`, for stacks that are one instance per module copy (bleno). Call it inside
 * `withAdapter`. The copies already handed out stay as they are.
 * @throws InvalidArgumentError for a stack that the seam does not know
 */
export function requireFresh(fromUrl: string | URL, stack: string): unknown {
  if (!VENDOR_STACKS.includes(stack))
    throw new InvalidArgumentError(`"stack" expected one of ${VENDOR_STACKS.join(', ')}`);
  const require = createRequire(fromUrl);
  const root = dirname(require.resolve(`${stack}/package.json`)) + sep;
  const inside = (): string[] =>
    Object.keys(require.cache).filter(
      (id) => id.startsWith(root) && !id.includes(`${sep}node_modules${sep}`, root.length),
    );
  for (const id of inside()) delete require.cache[id];
  const loaded: unknown = require(stack);
  // Not left in the cache, or the parent's module would hold every copy that was ever made.
  for (const id of inside()) delete require.cache[id];
  return loaded;
}
