/** The radio contract on the machine's adapters, in the machine, as whoever has adapters runs it: by `RDV_ADAPTERS`. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { asUser, quoted } from './guest.js';
import { ROOT } from './machine.js';
import type { Step } from './verdicts.js';

/** What the contract asks, as its own file names it. */
const CLAUSES = [
  ...readFileSync(join(ROOT, 'test', 'contract', 'radio.ts'), 'utf8').matchAll(
    /^ {4}it\('([^']+)'|^const LOSING = '([^']+)'/gm,
  ),
].map(([, name, losing]) => name ?? losing!);

export function contractSteps(): Step[] {
  let printed = '';
  const run: Step = [
    'is asked',
    async (machine) => {
      const vitest = [
        ...['node_modules/vitest/vitest.mjs', 'run', '--configLoader', 'native'],
        ...['--config', 'test/system/kernel/guest/vitest.config.mjs', '-t', 'real adapters'],
      ];
      const command = [process.execPath, ...vitest].map(quoted).join(' ');
      const asked = machine.start(`cd ${quoted(ROOT)}; ${asUser(`RDV_ADAPTERS=hci0,hci1,hci2 ${command}`)}`);
      await machine.during(asked.ended);
      printed = asked.output;
      expect(printed).toMatch(/Tests .*passed/);
    },
  ];
  return [
    run,
    ...CLAUSES.map(
      (name): Step => [
        name,
        async () => {
          const verdicts = printed
            .split('\n')
            .filter((line) => /^ *[✓↓×] /.test(line) && line.includes('real adapters'));
          const line = verdicts.find((text) => text.includes(`> ${name}`));
          // Nothing in the machine can move its adapters apart; nothing else may be left out.
          expect(line ?? printed).toMatch(name.includes('lose each other') ? /^ *↓ / : /^ *✓ /);
        },
      ],
    ),
  ];
}
