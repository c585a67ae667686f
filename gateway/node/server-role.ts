/** The server role: a namespace service in this process (SPEC §14), put together from its configuration. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RdvError } from '@rdv/protocol/core/errors';
import type { Surroundings, Timer } from '@rdv/protocol/core/ports';
import type { Rate } from '@rdv/protocol/core/token-bucket';
import { FRAMES_AT_ONCE, FRAMES_MAX_BYTES } from '../server/http-queues.js';
import { type HttpService, openHttpService } from '../server/http-service.js';
import { DEFAULT_SERVICE_LIMITS, type ServiceLimits } from '../server/service-limits.js';
import type { ServiceDatabase } from '../server/store/database.js';
import { openSqliteService } from '../server/store/sqlite-service.js';
import { parseListen, type ServerConfig, type ServerLimitName, type ServerLimitsConfig } from './server-config.js';

const RENEWAL_MS = 60_000;

function file(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new RdvError('config', `cannot read ${path}: check the path and its rights`, { cause });
  }
}

async function openDatabase(
  where: string | undefined,
  directory: string,
  ports: Surroundings,
): Promise<ServiceDatabase> {
  if (where !== undefined && /^postgres(ql)?:\/\//.test(where)) {
    const { openPostgresService } = await import('../server/store/postgres-service.js');
    return openPostgresService({ ...ports, url: where, log: ports.log.scope('database') });
  }
  return openSqliteService({ path: where ?? join(directory, 'service.db') });
}

/**
 * @param directory where the database lies unless the configuration says otherwise; it has to be there
 * @throws RdvError `config`, `store`, `busy`
 */
export async function startServerRole(
  config: ServerConfig,
  ports: Surroundings,
  directory: string,
): Promise<HttpService> {
  const { host, port } = parseListen(config.listen);
  const { limits = {} } = config;
  const tls = config.tls && { cert: file(config.tls.cert), key: file(config.tls.key) };
  const database = await openDatabase(config.database, directory, ports);
  try {
    const service = await openHttpService({
      ...ports,
      log: ports.log.scope('server'),
      database,
      host,
      port,
      limits: serviceLimits(limits),
      storeLimits: {
        ...(limits['max-bytes'] !== undefined && { maxFrameBytes: limits['max-bytes'] }),
        ...(limits['sender-bytes'] !== undefined && { maxSenderBytes: limits['sender-bytes'] }),
        ...(limits['max-records'] !== undefined && { maxRecords: limits['max-records'] }),
      },
      ...(config.base !== undefined && { base: config.base }),
      ...(tls && { tls }),
      ...(config.origins && { origins: config.origins }),
      ...(config['trusted-proxies'] && { trustedProxies: config['trusted-proxies'] }),
    });
    return config.tls ? renewing(service, config.tls, ports) : service;
  } catch (error) {
    await database.close();
    throw error;
  }
}

/** Looks now and then whether the certificate's files have changed: nobody has to restart for a renewal. */
function renewing(
  service: HttpService,
  files: { readonly cert: string; readonly key: string },
  { clock, log }: Surroundings,
): HttpService {
  let timer: Timer | undefined;
  let known = file(files.cert);
  const look = (): void => {
    timer = clock.schedule(RENEWAL_MS, () => {
      try {
        const tls = { cert: file(files.cert), key: file(files.key) };
        if (tls.cert !== known) {
          service.renewTls(tls);
          log.info('the certificate was renewed');
        }
        known = tls.cert;
      } catch (error) {
        log.warn('the renewed certificate cannot be used: the old one stays', { reason: (error as Error).message });
      }
      look();
    });
  };
  look();
  const close = (): Promise<void> => {
    timer?.cancel();
    return service.close();
  };
  return Object.assign(Object.create(service) as HttpService, { close, [Symbol.asyncDispose]: close });
}

function serviceLimits(limits: ServerLimitsConfig): Partial<ServiceLimits> {
  const known = DEFAULT_SERVICE_LIMITS;
  // What may come at once grows and shrinks with it, but one request of the largest kind fits.
  const rate = (name: ServerLimitName, { perSecond, burst }: Rate, least = 1): Rate => {
    const given = limits[name];
    if (given === undefined) return { perSecond, burst };
    return { perSecond: given, burst: Math.max(least, Math.ceil((given * burst) / perSecond)) };
  };
  return {
    requests: rate('requests', known.requests),
    frames: rate('frames', known.frames, FRAMES_AT_ONCE),
    bytes: rate('bytes', known.bytes, FRAMES_MAX_BYTES),
    puts: rate('puts', known.puts),
    putsPerId: rate('puts-per-id', known.putsPerId),
    framesPerQueue: rate('frames-per-queue', known.framesPerQueue),
    streams: limits.streams ?? known.streams,
    streamsPerAddress: limits['streams-per-address'] ?? known.streamsPerAddress,
    items: limits.items ?? known.items,
    itemsPerAddress: limits['items-per-address'] ?? known.itemsPerAddress,
    ttlSeconds: Math.min(limits.ttl ?? known.ttlSeconds, known.ttlSeconds),
  };
}
