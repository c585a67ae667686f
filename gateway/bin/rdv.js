#!/usr/bin/env node
// Committed as it is: npm links no bin that is not built yet.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const main = new URL('../dist/cli/main.js', import.meta.url);
if (!existsSync(fileURLToPath(main))) {
  console.error('rdv: not built yet. Run "npm test" or "npm start" once, or: npm ci --ignore-scripts && npx tsc -b');
  process.exit(2);
}
await import(main.href);
