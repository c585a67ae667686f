/** What takes minutes: many kills, long crowds. `npm run test:long`, not part of `npm test`. */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    root: import.meta.dirname,
    include: ['**/*.long.test.ts'],
    exclude: ['system/**', '**/node_modules/**'],
    pool: 'forks',
    // One after the other: what is killed at random moments wants a machine that is not busy with its neighbour.
    fileParallelism: false,
  },
});
