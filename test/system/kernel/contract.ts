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

const ABSENT = 'gives up on who is not there';

/** On the one channel or the other: where the kernel has an adapter up, its user channel cannot be had. */
export function contractSteps(channel: 'user' | 'raw'): Step[] {
  let printed = '';
  const run: Step = [
    'is asked',
    async (machine) => {
      if (channel === 'raw') await machine.run('for i in 0 1 2; do hciconfig hci$i up; done');
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
        channel === 'raw' && name.startsWith(ABSENT)
          ? `${ABSENT}: no, the kernel holds its host, which is replaced`
          : name,
        async () => {
          const verdicts = printed
            .split('\n')
            .filter((line) => /^ *[✓↓×] /.test(line) && line.includes('real adapters'));
          const line = verdicts.find((text) => text.includes(`> ${name}`));
          if (channel === 'raw' && name.startsWith(ABSENT)) {
            // Its connect() waits in the kernel; the clause after this one meets the host that took its place.
            expect(line ?? printed).toMatch(/^ *× /);
            expect(printed).toMatch(/expected RdvError: the radio host ended/);
            return;
          }
          // Nothing in the machine can move its adapters apart; nothing else may be left out.
          expect(line ?? printed).toMatch(name.includes('lose each other') ? /^ *↓ / : /^ *✓ /);
        },
      ],
    ),
  ];
}
