import { defineConfig } from 'vitest/config';

const shared = {
  root: import.meta.dirname,
  exclude: ['system/**', '**/*.long.test.ts', '**/node_modules/**'],
  // The slowest take 5 s alone. Beside others, on a machine a third as fast, they may take ten times as long.
  testTimeout: 60_000,
  hookTimeout: 60_000,
  pool: 'forks' as const,
  // The packages run as built, loaded by Node itself as in production; that saves a tenth of the time, too.
  server: { deps: { external: [/\/dist\//] } },
  execArgv: ['--enable-source-maps'],
};

/** What has neither radio nor broker nor file nor process. */
const pure = ['protocol/**/*.test.ts', 'interop/**/*.test.ts'];

/** What opens sockets, files and processes of its own, loads no radio stack, and leaves the process as it was. */
const tidy = [
  'hardware/air/**/*.test.ts',
  'gateway/{bridge,identity,namespaces,node,server}/**/*.test.ts',
  'faults/**/*.test.ts',
];

export default defineConfig({
  test: {
    // Two cores: timing tests want the second one for their peers.
    maxWorkers: 2,
    reporters: ['default'],
    projects: [
      { test: { ...shared, name: 'all', include: ['**/*.test.ts'], exclude: [...shared.exclude, ...pure, ...tidy] } },
      // Files that leave nothing behind in the process share one: a third of a second of start-up is saved for each.
      { test: { ...shared, name: 'tidy', include: tidy, isolate: false } },
      { test: { ...shared, name: 'protocol', include: pure, isolate: false, provide: { primitives: 'node' } } },
      // What a browser runs: the protocol's tests once more on the portable primitives.
      {
        test: {
          ...shared,
          name: 'portable primitives',
          isolate: false,
          include: pure,
          // These run on both backends by themselves, or use none.
          exclude: [...shared.exclude, 'protocol/primitives/{known,ed25519,portable}*', 'protocol/advert/**'],
          env: { RDV_PRIMITIVES: 'noble' },
          provide: { primitives: 'noble' },
        },
      },
    ],
  },
});
