/** A namespace service on a database of its own, and clients of it. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openHttpNamespace } from '@rdv/gateway/namespaces/http';
import type { HttpNamespace } from '@rdv/gateway/namespaces/http-namespace';
import { openWsNamespace, type WsNamespace } from '@rdv/gateway/namespaces/ws';
import { type HttpService, type HttpServiceOptions, openHttpService } from '@rdv/gateway/server/http-service';
import { openSqliteService } from '@rdv/gateway/server/store/sqlite-service';
import { surroundings } from './mqtt-rig.js';

export type ServiceOptions = Partial<Omit<HttpServiceOptions, 'database'>>;

/** A service with SQLite in a directory that goes with it. */
export async function openService(options: ServiceOptions = {}): Promise<HttpService> {
  // In memory where there is such a place: what outlives a power cut is not asked here, and syncs wait for each other.
  const directory = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'rdv-service-'));
  const database = await openSqliteService({ path: join(directory, 'service.db') });
  const service = await openHttpService({ ...surroundings, ...options, database });
  const close = async (): Promise<void> => {
    await service.close();
    rmSync(directory, { recursive: true, force: true });
  };
  return Object.assign(Object.create(service), { close, [Symbol.asyncDispose]: close });
}

/** A connected namespace over HTTP. */
export async function openUpHttp(port: number, host = '127.0.0.1'): Promise<HttpNamespace> {
  const namespace = openHttpNamespace({ ...surroundings, target: { protocol: 'http', host, port } });
  await namespace.firstAttempt;
  return namespace;
}

/** A connected namespace over WebSocket. */
export async function openUpWs(port: number, host = '127.0.0.1'): Promise<WsNamespace> {
  const namespace = openWsNamespace({ ...surroundings, target: { protocol: 'ws', host, port } });
  await namespace.firstAttempt;
  return namespace;
}
