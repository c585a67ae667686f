import type { HttpService } from '@rdv/gateway/server/http-service';
import { afterAll, beforeAll } from 'vitest';
import { serviceEndContract } from '../../contract/service-end.js';
import { openService } from '../../support/http-rig.js';

let service: HttpService;
beforeAll(async () => {
  service = await openService();
});
afterAll(() => service.close());

serviceEndContract('SQLite', async () => [service, service]);
