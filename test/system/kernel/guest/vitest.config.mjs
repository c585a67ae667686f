// The radio contract on the machine's adapters: one file, one process, time for an emulated processor.
import { fileURLToPath } from 'node:url';

export default {
  test: {
    root: fileURLToPath(new URL('../../../', import.meta.url)),
    include: ['hardware/host/radio.test.ts'],
    server: { deps: { external: [/\/dist\//] } },
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'threads',
    isolate: false,
    reporters: ['verbose'],
  },
};
