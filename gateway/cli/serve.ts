/** `rdv serve`: a namespace service in the foreground, until interrupted. */
import { SERVER_LIMITS } from '../node/server-config.js';
import type { Command } from './commander.js';
import { type CommonOptions, outputOf, repeated, untilInterrupted, withCommonOptions } from './shared.js';

interface ServeOptions extends CommonOptions {
  readonly listen?: string;
  readonly base?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly database?: string;
  readonly origin?: readonly string[];
  readonly trustedProxy?: readonly string[];
  readonly limit?: readonly string[];
}

async function serve(options: ServeOptions): Promise<void> {
  const out = outputOf(options);
  const { runServer } = await import('../node/run-server.js');
  const { DEFAULT_LISTEN } = await import('../node/server-config.js');
  const { tlsCert, tlsKey, origin, trustedProxy } = options;
  await runServer(
    {
      listen: options.listen ?? DEFAULT_LISTEN,
      base: options.base,
      tlsCert,
      tlsKey,
      database: options.database ?? process.env['RDV_DATABASE'],
      origins: origin,
      trustedProxies: trustedProxy,
      limits: options.limit ?? [],
    },
    {
      state: options.state,
      log: options.verbose ? 'debug' : options.quiet ? 'warn' : 'info',
      json: options.json === true,
      signal: untilInterrupted().signal,
      onUp: (url) => out.result({ event: 'up', url }, `serving ${url}: meet there with --namespace ${url}`),
    },
  );
}

const HELP = `
Records are checked and kept until they expire, frames for up to 24 h; what is acknowledged is on disk. The service
learns no tag and no plaintext; it sees which address asks for which id and queue, and when.

  rdv serve --listen 0.0.0.0:443 --tls-cert fullchain.pem --tls-key privkey.pem
  rdv serve --listen 8080 --base /meet --trusted-proxy 127.0.0.1      # behind nginx, Caddy, …
  RDV_DATABASE=postgres://db.example/rdv rdv serve                    # several processes, one database
  rdv serve --limit requests=200 --limit max-bytes=268435456 --limit ttl=3600

Limits, each for one process:
${Object.entries(SERVER_LIMITS)
  .map(([name, what]) => `  ${name.padEnd(20)} ${what}`)
  .join('\n')}

The interface is described at /1/openapi.json. SIGINT and SIGTERM stop it; clients go on where they were at the next start.`;

export function serveCommand(command: Command): Command {
  return withCommonOptions(command)
    .description('run a namespace service over HTTP and WebSocket')
    .option('--listen <host:port>', 'where to listen (default: 127.0.0.1:7332)')
    .option('--base <path>', 'path before /1/…, e.g. /meet')
    .option('--tls-cert <file>', 'certificate chain in PEM: https and wss')
    .option('--tls-key <file>', 'its key in PEM')
    .option(
      '--database <where>',
      'a file (default: service.db in the state directory), or postgres://… (also $RDV_DATABASE; passwords in $PGPASSWORD or ~/.pgpass)',
    )
    .option('--origin <origin>', 'pages of this origin may use it (repeatable; default: all)', repeated)
    .option('--trusted-proxy <address>', 'reverse proxy whose X-Forwarded-For counts (repeatable)', repeated)
    .option('--limit <name=number>', 'another limit than SPEC §14.6 has (repeatable; names below)', repeated)
    .addHelpText('after', HELP)
    .action(serve);
}
