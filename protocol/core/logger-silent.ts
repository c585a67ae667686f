/** A Logger that keeps nothing: the default where an application passes none. */
import type { Logger } from './ports.js';

export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  scope: () => silentLogger,
};
