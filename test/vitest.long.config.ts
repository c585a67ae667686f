/** What takes minutes: many kills, a soak. `npm run test:long`, not part of `npm test`. Files named *.long.test.ts. */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    root: import.meta.dirname,
    include: ['**/*.long.test.ts'],
    exclude: ['system/**', '**/node_modules/**'],
    pool: 'forks',
    testTimeout: 600_000,
    // Memory is weighed after a collection.
    execArgv: ['--expose-gc', '--enable-source-maps'],
    server: { deps: { external: [/\/dist\//] } },
    // One after the other: what is killed at random moments wants a machine that is not busy with its neighbour.
    fileParallelism: false,
  },
});
