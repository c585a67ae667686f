/** The contract of namespaces over WebSocket; over HTTP it runs with the quick tests. */
import type { HttpService } from '@rdv/gateway/server/http-service';
import { afterAll, beforeAll } from 'vitest';
import { namespaceContract } from '../../contract/namespace.js';
import { openService, openUpWs } from '../../support/http-rig.js';
import { proxiedRig } from '../../support/mqtt-rig.js';

let service: HttpService;
beforeAll(async () => {
  service = await openService();
});
afterAll(() => service.close());

namespaceContract('WebSocket', async () => {
  const { port } = service;
  return proxiedRig([port, port, port], openUpWs, async () => {});
});
