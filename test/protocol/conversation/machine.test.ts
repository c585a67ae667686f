/** The state diagram in SPEC §7 is the table's. */
import { readFileSync } from 'node:fs';
import { lifecycle } from '@rdv/protocol/conversation/lifecycle';
import { toMermaid } from '@rdv/protocol/core/machine';
import { expect, test } from 'vitest';

test('the lifecycle drawn in SPEC.md is the one in the code', () => {
  const spec = readFileSync(new URL('../../../protocol/SPEC.md', import.meta.url), 'utf8');
  const drawn = /<!-- machine: conversation -->\n```mermaid\n([\s\S]*?)\n```/.exec(spec)?.[1];
  expect(drawn).toBe(toMermaid(lifecycle));
});
