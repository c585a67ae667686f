/** The joins of a node (SPEC §9.6): bridges between two namespaces that many use, as its configuration names them. */
import { RdvError, toRdvError } from '@rdv/protocol/core/errors';
import type { Clock, Logger } from '@rdv/protocol/core/ports';
import { Join, type JoinSide, type JoinStatus } from '../bridge/join.js';
import { LANE_LIMITS, type LaneLimits } from '../bridge/lane.js';
import type { Quota } from '../bridge/meter.js';
import { parseNamespaceUrl } from '../namespaces/parse-url.js';
import type { HttpService } from '../server/http-service.js';
import type { NamespacePool } from './namespace-pool.js';

/** Names the namespace service of the node itself. */
export const OWN_SERVICE = 'server:';

export interface JoinConfig {
  /** Namespace URLs; `server:` is the node's own service. */
  readonly between: readonly [string, string];
  /** Each direction's; default LANE_LIMITS. */
  readonly quota?:
    | {
        /** Per second in the long run, four times that at once. */
        readonly frames?: number | undefined;
        readonly bytes?: number | undefined;
        /** Held at once. */
        readonly queues?: number | undefined;
        readonly records?: number | undefined;
      }
    | undefined;
}

export interface JoinRole {
  readonly status: readonly JoinStatus[];
  close(): void;
}

/** As far as that goes without opening anything. @throws RdvError `config` naming the join by its number */
export function checkJoins(configs: readonly JoinConfig[]): void {
  for (const [index, { between }] of configs.entries()) {
    const kinds = between.map((url) => {
      try {
        return url === OWN_SERVICE ? url : parseNamespaceUrl(url).kind;
      } catch (cause) {
        throw new RdvError('config', `joins.${index}: ${toRdvError(cause).message}`, { cause });
      }
    });
    if (!kinds.includes(OWN_SERVICE) && !kinds.includes('udp'))
      throw new RdvError(
        'config',
        `joins.${index}: what people want can be seen on udp: and at ${OWN_SERVICE} (roles.server): one side has to be that`,
      );
  }
}

/** An end that a bridge uses of `url`, or of the node's own service. @throws RdvError `config` · as `forBridge` */
export async function bridgeSide(
  url: string,
  pool: Pick<NamespacePool, 'forBridge'>,
  server: Pick<HttpService, 'bridgeEnd'> | undefined,
): Promise<JoinSide> {
  if (url !== OWN_SERVICE) return pool.forBridge(url);
  if (!server) throw new RdvError('config', `"${url}" is this node's own service: it needs roles.server`);
  const namespace = server.bridgeEnd();
  return { namespace, interest: namespace };
}

/** @throws RdvError `config` naming the join by its number when it cannot be made */
export async function startJoins(
  configs: readonly JoinConfig[],
  side: (url: string) => Promise<JoinSide>,
  ports: { readonly clock: Clock; readonly log: Logger },
): Promise<JoinRole> {
  const log = ports.log.scope('join');
  const joins: Join[] = [];
  const close = (): void => {
    for (const join of joins) join.close();
  };
  for (const [index, { between, quota }] of configs.entries()) {
    try {
      const [one, two] = await Promise.all(between.map(side));
      joins.push(new Join({ between: [one!, two!], clock: ports.clock, log, limits: limitsOf(quota) }));
    } catch (cause) {
      close();
      throw new RdvError('config', `joins.${index}: ${toRdvError(cause).message}`, { cause });
    }
  }
  return {
    get status() {
      return joins.map((join) => join.status);
    },
    close,
  };
}

function limitsOf({ frames, bytes, queues, records }: NonNullable<JoinConfig['quota']> = {}): Partial<LaneLimits> {
  const { quota, queueQuota } = LANE_LIMITS;
  const whole = { ...quota, ...framesOf(frames), ...bytesOf(bytes) };
  return {
    quota: whole,
    // One queue never has more than all.
    queueQuota: {
      framesPerSecond: Math.min(queueQuota.framesPerSecond, whole.framesPerSecond),
      framesBurst: Math.min(queueQuota.framesBurst, whole.framesBurst),
      bytesPerSecond: Math.min(queueQuota.bytesPerSecond, whole.bytesPerSecond),
      bytesBurst: Math.min(queueQuota.bytesBurst, whole.bytesBurst),
    },
    ...(queues === undefined ? {} : { queues }),
    ...(records === undefined ? {} : { records }),
  };
}

function framesOf(frames: number | undefined): Partial<Quota> {
  return frames === undefined ? {} : { framesPerSecond: frames, framesBurst: 4 * frames };
}

function bytesOf(bytes: number | undefined): Partial<Quota> {
  return bytes === undefined ? {} : { bytesPerSecond: bytes, bytesBurst: 4 * bytes };
}
