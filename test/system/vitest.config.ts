import { defineConfig } from 'vitest/config';

// Run by run.mjs, which has installed what the suite needs.
export default defineConfig({
  test: {
    root: import.meta.dirname,
    include: ['*/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: 'forks',
    fileParallelism: false,
  },
});
