// The import rules of the architecture are lint errors: every fault planted below is reported, nothing else is.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '..', '..');

/** Files that do not exist, in real places; what they may import, and what they may not. */
const places: Record<string, { may: string[]; mayNot: string[] }> = {
  'protocol/tag/planted.ts': {
    may: ['../core/bytes.js', './tag.js', '#primitives'],
    mayNot: [
      ...['node:fs', 'node:fs/promises', 'fs', 'buffer', '@rdv/hardware/radio/central', '@rdv/beacon/advertiser'],
      ...['@rdv/gateway/bridge/bridge', '@noble/hashes/sha2.js', '@scure/bip39', 'cborg', 'cborg/json', 'mqtt'],
      ...['@richardhopton/noise-c.wasm', '@abandonware/noble', 'a-package-nobody-has-named-yet'],
    ],
  },
  'protocol/primitives/planted-node.ts': {
    may: ['node:crypto', 'node:fs/promises', './primitives-noble.js'],
    mayNot: ['@noble/hashes/sha2.js', '@rdv/hardware/radio/central', 'sodium-native'],
  },
  'protocol/primitives/primitives-noble.ts': {
    may: ['@noble/hashes/sha2.js', '@noble/curves/ed25519.js', '@noble/ciphers/chacha.js'],
    mayNot: ['node:crypto', '@scure/bip39', 'cborg', '@rdv/gateway/bridge/bridge'],
  },
  'protocol/tag/wordlist.ts': {
    may: ['@scure/bip39/wordlists/english.js'],
    mayNot: ['@noble/hashes/sha2.js', 'node:fs'],
  },
  'protocol/core/cbor.ts': { may: ['cborg'], mayNot: ['@noble/hashes/sha2.js', 'node:fs', '@rdv/beacon/advertiser'] },
  'hardware/hci/planted.ts': {
    may: ['node:net', 'node:fs/promises', '@rdv/protocol/core/bytes', '../radio/central.js'],
    mayNot: ['@rdv/beacon/advertiser', '@rdv/gateway/bridge/bridge', 'serialport', 'usb', '@abandonware/noble'],
  },
  'hardware/hci/serial-port.ts': { may: ['serialport'], mayNot: ['@rdv/beacon/advertiser', 'usb'] },
  'beacon/planted.ts': {
    may: ['node:net', '@rdv/protocol/core/bytes', '@rdv/hardware/radio/peripheral'],
    mayNot: ['@rdv/gateway/bridge/bridge', '@abandonware/bleno', '@abandonware/bluetooth-hci-socket', 'mqtt'],
  },
  'gateway/node/planted.ts': {
    may: ['node:net', '@rdv/protocol/core/bytes', '@rdv/hardware/radio/central', '@rdv/beacon/advertiser'],
    mayNot: [
      ...['mqtt', 'aedes', 'ws', 'commander', 'yaml', 'valibot', 'pino', 'serialport', 'usb', '@abandonware/noble'],
      ...['@noble/hashes/sha2.js', 'cborg', '#primitives'],
    ],
  },
  'gateway/server/embedded-broker.ts': { may: ['aedes'], mayNot: ['mqtt', 'pino'] },
  'gateway/server/http-app.ts': { may: ['fastify', '@fastify/cors'], mayNot: ['ws', 'pg', 'hono'] },
  'gateway/server/store/postgres-service.ts': { may: ['pg'], mayNot: ['fastify', 'libsql'] },
  'gateway/namespaces/websocket.ts': { may: ['ws'], mayNot: ['mqtt', 'fastify', '../server/http-service.js'] },
  'gateway/cli/commander.ts': { may: ['commander'], mayNot: ['yaml', 'pino'] },
  'gateway/node/config-file.ts': { may: ['yaml'], mayNot: ['valibot', 'pino'] },
  'gateway/node/config.ts': { may: ['valibot'], mayNot: ['yaml', 'pino'] },
  'gateway/node/logger.ts': { may: ['pino'], mayNot: ['yaml', 'valibot'] },
  'gateway/namespaces/planted.ts': {
    may: ['@rdv/protocol/namespace/port', '@rdv/protocol/tag/eid-resolver', './mqtt-topics.js', 'node:fs'],
    mayNot: [
      ...['mqtt', '@rdv/hardware/radio/central', '@rdv/beacon/advertiser', '../radio/scanner.js', '../node/node.js'],
      ...['../bridge/bridge.js', '../cli/main.js', '../server/embedded-broker.js'],
    ],
  },
  'gateway/namespaces/mqtt-client.ts': { may: ['mqtt'], mayNot: ['aedes', '@rdv/hardware/radio/central'] },
  'gateway/bridge/planted.ts': {
    may: [
      ...['@rdv/protocol/core/bytes', '@rdv/protocol/link/peer', '@rdv/protocol/namespace/port'],
      ...['@rdv/protocol/record/envelope', './meter.js', 'node:crypto'],
    ],
    mayNot: [
      ...['tag/tag', 'tag/derived', 'identity/evidence', 'noise/handshake-state', 'rendezvous/publish', 'record/body'],
      ...['conversation/open', 'advert/beacon', 'primitives/primitives-node'],
    ]
      .map((inside) => `@rdv/protocol/${inside}`)
      .concat('@rdv/beacon/advertiser', '@rdv/hardware/radio/central', '../node/node.js', '../namespaces/mqtt.js'),
  },
};

const deniedGlobals = [
  ...['Buffer.from([1])', 'setTimeout(f, 1)', 'setInterval(f, 1)', 'setImmediate(f)', 'queueMicrotask(f)'],
  ...['Date.now()', 'new Date()', 'performance.now()', 'process.env', 'crypto.randomUUID()', 'console.log(1)'],
  ...['globalThis.Buffer'],
];

interface Diagnostic {
  category: string;
  location: { path: string; start: { line: number } };
}

let directory: string;
let found: Diagnostic[];

/** The 1-based lines of `path` on which the rule speaks. */
const linesOf = (path: string, rule: string): number[] =>
  found.filter((one) => one.location.path === path && one.category === rule).map((one) => one.location.start.line);

function plant(path: string, lines: string[]): void {
  mkdirSync(dirname(join(directory, path)), { recursive: true });
  writeFileSync(join(directory, path), `${lines.join('\n')}\n`);
}

/** Each way there is to import a module; one line each. */
const waysToImport = (from: string): string[] => [
  `import '${from}';`,
  `import type { A } from '${from}';`,
  `export { b } from '${from}';`,
  `export * from '${from}';`,
  `const c = await import('${from}');`,
];
const WAYS = waysToImport('').length;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'rdv-'));
  cpSync(join(root, '.biome.json'), join(directory, '.biome.json'));
  for (const [path, { may, mayNot }] of Object.entries(places)) plant(path, [...may, ...mayNot].flatMap(waysToImport));
  for (const path of ['protocol/core/globals.ts', 'protocol/core/globals-node.ts', 'gateway/node/globals.ts'])
    plant(path, deniedGlobals);
  plant('gateway/node/cycle-a.ts', [`import './cycle-b.js';`, 'export const a = 1;']);
  plant('gateway/node/cycle-b.ts', [`import { a } from './cycle-a.js';`, 'export const b = a;']);
  plant('test/any.ts', ['export const a = {} as any;']);
  const biome = join(root, 'node_modules', '@biomejs', 'biome', 'bin', 'biome');
  const options = ['lint', '--vcs-enabled=false', '--reporter=json', '--max-diagnostics=none', '.'];
  let output: string;
  try {
    output = execFileSync(process.execPath, [biome, ...options], {
      cwd: directory,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      maxBuffer: 1 << 26,
    });
  } catch (error) {
    // Faults were found, as they should be: the exit code says so, the report is on standard output.
    output = (error as { stdout: string }).stdout;
  }
  found = (JSON.parse(output) as { diagnostics: Diagnostic[] }).diagnostics;
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe('a forbidden import is a lint error, however it is written', () => {
  for (const [path, { may, mayNot }] of Object.entries(places)) {
    it(path, () => {
      const reported = new Set(linesOf(path, 'lint/style/noRestrictedImports'));
      const verdicts = [...may, ...mayNot].map((from, i) => {
        const caught = waysToImport(from).filter((_, way) => reported.has(i * WAYS + way + 1));
        return [from, caught];
      });
      const expected = [...may.map((from) => [from, []]), ...mayNot.map((from) => [from, waysToImport(from)])];
      expect(verdicts).toEqual(expected);
    });
  }
});

describe('lint errors too are', () => {
  const rule = 'lint/style/noRestrictedGlobals';

  it('timers, clocks, Buffer and the process in protocol, but not in its Node files or in other packages', () => {
    expect([...new Set(linesOf('protocol/core/globals.ts', rule))].toSorted((a, b) => a - b)).toEqual(
      deniedGlobals.map((_, i) => i + 1),
    );
    expect(linesOf('protocol/core/globals-node.ts', rule)).toEqual([]);
    expect(linesOf('gateway/node/globals.ts', rule)).toEqual([]);
  });

  it('import cycles', () => {
    expect(linesOf('gateway/node/cycle-a.ts', 'lint/suspicious/noImportCycles')).toEqual([1]);
    expect(linesOf('gateway/node/cycle-b.ts', 'lint/suspicious/noImportCycles')).toEqual([1]);
  });

  it('any', () => {
    expect(linesOf('test/any.ts', 'lint/suspicious/noExplicitAny')).toEqual([1]);
  });
});
