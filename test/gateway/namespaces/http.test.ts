import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openHttpNamespace } from '@rdv/gateway/namespaces/http';
import { fetchTransport } from '@rdv/gateway/namespaces/http-fetch';
import type { HttpNamespace } from '@rdv/gateway/namespaces/http-namespace';
import type { HttpService } from '@rdv/gateway/server/http-service';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { namespaceContract } from '../../contract/namespace.js';
import { openService, openUpHttp, openUpWs } from '../../support/http-rig.js';
import { expectTalk, firstOf, newTag, publishOn, respondOn } from '../../support/mqtt-rendezvous.js';
import { proxiedRig, surroundings } from '../../support/mqtt-rig.js';

let service: HttpService;
beforeAll(async () => {
  service = await openService();
});
afterAll(() => service.close());

/** As in a page: over fetch. */
async function openUpFetch(port: number): Promise<HttpNamespace> {
  const target = { protocol: 'http', host: '127.0.0.1', port } as const;
  const namespace = openHttpNamespace({ ...surroundings, target, transport: fetchTransport(target) });
  await namespace.firstAttempt;
  return namespace;
}

namespaceContract('HTTP', async () => {
  const { port } = service;
  let count = 0;
  return proxiedRig(
    [port, port, port],
    (at) => (++count === 2 ? openUpFetch(at) : openUpHttp(at)),
    async () => {},
  );
});

it('needs nothing of Node in a page', () => {
  const directory = join(import.meta.dirname, '../../../gateway/namespaces');
  const seen = new Set<string>();
  const walk = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    const text = readFileSync(join(directory, file), 'utf8');
    expect(text, file).not.toMatch(/['"`]node:|\bBuffer\b|\bprocess\./);
    for (const [, next = ''] of text.matchAll(/from '\.\/([\w-]+)\.js'/g)) walk(`${next}.ts`);
  };
  walk('http-namespace.ts');
  walk('http-fetch.ts');
  expect(seen.size).toBeGreaterThan(7);
});

it.each([
  ['HTTP', openUpHttp, openUpHttp],
  ['WebSocket', openUpWs, openUpWs],
  ['both', openUpHttp, openUpWs],
] as const)('carries a rendezvous and a conversation over %s', async (_name, open, openOther) => {
  const [one, two] = await Promise.all([open(service.port), openOther(service.port)]);
  const tag = newTag();
  const publication = await publishOn(tag, one);
  const first = firstOf(publication);
  const theirs = await respondOn(tag, two);
  await expectTalk(await first, theirs);
  await theirs.close();
  await publication.close();
  await Promise.all([one.close(), two.close()]);
});

it('tells of a service that is not there what to do', async () => {
  const namespace = openHttpNamespace({ ...surroundings, target: { protocol: 'http', host: '127.0.0.1', port: 1 } });
  await expect(namespace.firstAttempt).rejects.toThrow('nobody listens there');
  expect(namespace.state).toBe('down');
  await namespace.close();
});
