/** Composition root of `rdv serve`: a namespace service alone, until the signal fires. */
import { systemClock, systemRandom } from '@rdv/hardware/host/system';
import { RdvError } from '@rdv/protocol/core/errors';
import { type LogLevel, openLogger } from './logger.js';
import { ensureStateDirectory, nodePaths } from './paths.js';
import { parseLimits } from './server-config.js';
import { startServerRole } from './server-role.js';

export interface ServerArguments {
  readonly listen: string;
  readonly base: string | undefined;
  readonly tlsCert: string | undefined;
  readonly tlsKey: string | undefined;
  readonly database: string | undefined;
  readonly origins: readonly string[] | undefined;
  readonly trustedProxies: readonly string[] | undefined;
  /** Each like `requests=500`. */
  readonly limits: readonly string[];
}

export interface RunServerOptions {
  readonly state: string | undefined;
  readonly log: LogLevel;
  readonly json: boolean;
  readonly signal: AbortSignal;
  readonly onUp: (url: string) => void;
}

/** Resolves after a clean shutdown. @throws RdvError `config`, `store`, `busy` */
export async function runServer(given: ServerArguments, options: RunServerOptions): Promise<void> {
  const { tlsCert: cert, tlsKey: key } = given;
  if ((cert === undefined) !== (key === undefined))
    throw new RdvError('invalid-argument', '--tls-cert and --tls-key go together: give both');
  const limits = parseLimits(given.limits);
  const paths = nodePaths(options.state);
  ensureStateDirectory(paths);
  const log = openLogger({ level: options.log, json: options.json });
  const service = await startServerRole(
    {
      listen: given.listen,
      base: given.base,
      tls: cert !== undefined && key !== undefined ? { cert, key } : undefined,
      database: given.database,
      origins: given.origins,
      'trusted-proxies': given.trustedProxies,
      limits,
    },
    { clock: systemClock, random: systemRandom, log },
    paths.directory,
  );
  try {
    options.onUp(service.url);
    await new Promise<void>((resolve) => {
      if (options.signal.aborted) resolve();
      options.signal.addEventListener('abort', () => resolve(), { once: true });
    });
    log.info('stopping');
  } finally {
    await service.close();
  }
}
