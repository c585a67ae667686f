/** The HTTP namespace from pages of other origins (SPEC §14): its client over fetch, and CORS as browsers enforce it. */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { freshTag, Rdv } from '../../gateway/cli/rdv-process.js';
import { browserBundle } from '../../support/browser-bundle.js';
import { ServiceProcess } from '../../support/service-process.js';
import { Page } from './chromium.js';

const PROTOCOL = [
  'rendezvous/publish',
  'rendezvous/respond',
  'core/memory-store',
  'core/logger-silent',
  'tag/derived',
  'tag/tag',
];
const GATEWAY = ['namespaces/http-namespace', 'namespaces/http-fetch'];

let script: string;
beforeAll(async () => {
  const modules = [
    ...PROTOCOL.map((path) => `@rdv/protocol/${path}`),
    ...GATEWAY.map((path) => `@rdv/gateway/${path}`),
  ];
  script = (await browserBundle(modules)).code;
});

/** Of every page: `around`, `open()` and `tag`. */
const page = (port: number, tag: string): string => `
  const random = (length) => crypto.getRandomValues(new Uint8Array(length));
  const clock = {
    now: () => Date.now(),
    monotonic: () => performance.now(),
    schedule: (ms, run) => { const handle = setTimeout(run, ms); return { cancel: () => clearTimeout(handle) }; },
  };
  const around = { clock, random, log: rdv.silentLogger };
  const open = () => {
    const target = { protocol: 'http', host: '127.0.0.1', port: ${port} };
    const namespace = new rdv.HttpNamespace({ ...around, target, transport: rdv.fetchTransport(target) });
    namespace.start();
    return namespace;
  };
  const tag = await rdv.TagSecret.fromTag(rdv.parseTag(${JSON.stringify(tag)}));
  const hex = (bytes) => Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, '0')).join('');
  const digest = async (bytes) => hex(await crypto.subtle.digest('SHA-256', bytes));
`;

const PUBLISH = `
  const publication = await rdv.publish(tag, {}, { ...around, store: new rdv.MemoryStore(), namespaces: [open()] });
  (async () => {
    for await (const conversation of publication) {
      for await (const message of conversation) await conversation.send(message.reverse());
      await conversation.end();
    }
  })().catch((error) => report({ failed: String(error) }));
`;

it('a page publishes and another responds: 40 messages of up to 100 kB each way', async () => {
  await using service = await ServiceProcess.start();
  const [port, tag] = [service.port, freshTag()];
  await using publisher = await Page.open(script, `${page(port, tag)}${PUBLISH} report({ published: true });`);
  expect(await publisher.next()).toEqual({ published: true });
  await using responder = await Page.open(
    script,
    `${page(port, tag)}
    const conversation = await rdv.respond(tag, {}, { ...around, namespaces: [open()] });
    const back = conversation[Symbol.asyncIterator]();
    let right = 0;
    for (let i = 0; i < 40; i++) {
      const message = new Uint8Array(i * i * 64);
      for (let at = 0; at < message.length; at += 65536) crypto.getRandomValues(message.subarray(at, at + 65536));
      await conversation.send(message);
      const { value } = await back.next();
      if (await digest(value) === await digest(message.reverse())) right++;
    }
    await conversation.close();
    report({ right });`,
  );
  expect(await responder.next()).toEqual({ right: 40 });
});

it('a page and a command meet, either publishing', async () => {
  await using service = await ServiceProcess.start();
  const [port, tags] = [service.port, [freshTag(), freshTag()] as const];
  const state = mkdtempSync(join(tmpdir(), 'rdv-'));
  try {
    await using publisher = await Page.open(script, `${page(port, tags[0])}${PUBLISH} report({ published: true });`);
    await publisher.next();
    const responder = new Rdv(['respond', tags[0], '-n', service.url, '--state', join(state, 'a')], {
      input: 'desserts\n',
    });
    expect(await responder.exited).toBe(0);

    expect(responder.out).toContain('stressed');

    const kiosk = new Rdv([
      'publish',
      tags[1],
      '-n',
      service.url,
      '--reply',
      'Open 8 to 20.',
      '--state',
      join(state, 'b'),
    ]);
    await kiosk.says(/published/i);
    await using guest = await Page.open(
      script,
      `${page(port, tags[1])}
      const conversation = await rdv.respond(tag, {}, { ...around, namespaces: [open()] });
      const { value } = await conversation[Symbol.asyncIterator]().next();
      await conversation.end();
      await conversation.closed;
      report({ digest: await digest(value) });`,
    );
    expect(await guest.next()).toEqual({ digest: createHash('sha256').update('Open 8 to 20.').digest('hex') });
    kiosk.child.kill('SIGINT');
    await kiosk.exited;
  } finally {
    rmSync(state, { recursive: true, force: true });
  }
});

it('pages of origins that were not named may not use it', async () => {
  await using service = await ServiceProcess.start('--origin', 'https://allowed.example');
  await using guest = await Page.open(
    script,
    `${page(service.port, freshTag())}
    await open().firstAttempt.then(() => report({ up: true }), ({ code, message }) => report({ code, message }));`,
  );
  expect(await guest.next()).toMatchObject({ code: 'unreachable' });
});
