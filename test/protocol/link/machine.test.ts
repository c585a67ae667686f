import { readFileSync } from 'node:fs';
import { toMermaid } from '@rdv/protocol/core/machine';
import { linkMachine } from '@rdv/protocol/link/link-machine';
import { expect, it } from 'vitest';

it('is the diagram that the specification shows', () => {
  const spec = readFileSync(new URL('../../../protocol/SPEC.md', import.meta.url), 'utf8');
  const shown = /<!-- machine: link -->\s*```mermaid\n([\s\S]*?)\n```/.exec(spec);
  expect(shown?.[1]).toBe(toMermaid(linkMachine));
});
