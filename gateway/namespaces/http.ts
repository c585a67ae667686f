/** Opens the namespace over HTTP (SPEC §14) with Node's own client. */
import { InvalidArgumentError } from '@rdv/protocol/core/errors';
import { HttpNamespace, type HttpNamespaceOptions } from './http-namespace.js';
import { nodeTransport } from './http-transport.js';

export type OpenHttpOptions = Omit<HttpNamespaceOptions, 'transport'> &
  Partial<Pick<HttpNamespaceOptions, 'transport'>>;

/**
 * A namespace on the service at `options.target`. Returns at once, `down`, and connects in the background.
 * @throws InvalidArgumentError
 */
export function openHttpNamespace(options: OpenHttpOptions): HttpNamespace {
  const { target } = options;
  if (target.host === '') throw new InvalidArgumentError('"host" expected a name or an address');
  if (!Number.isInteger(target.port) || target.port < 1 || target.port > 65_535)
    throw new InvalidArgumentError(`"port" expected 1 to 65535, got ${target.port}`);
  if ((target.cert === undefined) !== (target.key === undefined))
    throw new InvalidArgumentError('"cert" and "key" expected both or none');
  const namespace = new HttpNamespace({ transport: nodeTransport(target), ...options });
  namespace.start();
  return namespace;
}
