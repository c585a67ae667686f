import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { validateConfig } from '@rdv/gateway/node/config';
import { planPublications } from '@rdv/gateway/node/planned-publications';
import { afterAll, describe, expect, it } from 'vitest';

const directory = mkdtempSync(join(tmpdir(), 'rdv-plan-'));
afterAll(() => rmSync(directory, { recursive: true }));
const file = (content: string | Uint8Array): string => {
  const path = join(directory, `${Math.abs(content.length)}-tag`);
  writeFileSync(path, content);
  return path;
};
const plan = async (publication: object, more: object = {}) =>
  planPublications(
    validateConfig({ version: 1, namespaces: ['mqtt://a'], publications: [publication], ...more }, 'test'),
  );
const handler = { reply: 'x' };

describe('the publications of a file', () => {
  it('become requests with handlers', async () => {
    const [planned] = await plan({
      'tag-file': file('desk\r\n'),
      lifecycle: { limit: 3 },
      ttl: '2h',
      ahead: 3,
      handler: { exec: 'cat' },
    });
    expect(planned).toMatchObject({
      handler: { kind: 'exec' },
      request: { tag: 'desk', lifecycle: { kind: 'limited', limit: 3 }, ttlSeconds: 7200, aheadEpochs: 3, realm: '' },
    });
  });

  it.each([
    ['no tag file', { 'tag-file': join(directory, 'none'), handler }, /cannot read the tag file/],
    ['bad UTF-8', { 'tag-file': file(Uint8Array.of(0xff)), handler }, /not UTF-8/],
    ['an empty tag', { tag: '', handler }, /empty/],
    ['a broken random tag', { tag: 'rdv1-zzzzz', handler }, /rdv1/],
    ['a relative socket', { tag: 'a', handler: { socket: 'desk.sock' } }, /absolute path/],
    ['an empty program', { tag: 'a', handler: { exec: ' ' } }, /empty/],
    ['a host that is missing', { tag: 'a', namespaces: ['mqtt://?x'], handler }, /host|unknown/],
    ['a realm too long', { tag: 'a', realm: 'a'.repeat(65), handler }, /realm/],
  ])('are refused with %s', async (_, publication, text) => {
    await expect(plan(publication)).rejects.toThrow(text);
  });

  it('are refused where nothing says where to meet', async () => {
    await expect(plan({ tag: 'a', handler }, { namespaces: [] })).rejects.toThrow(/publications\.0: has no namespaces/);
  });
});
