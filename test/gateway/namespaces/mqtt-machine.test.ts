/** The diagram in SPEC §10 is drawn from the table. */
import { readFileSync } from 'node:fs';
import { mqttLinkMachine } from '@rdv/gateway/namespaces/mqtt-machine';
import { toMermaid } from '@rdv/protocol/core/machine';
import { expect, it } from 'vitest';

it('is the one in the specification', () => {
  const spec = readFileSync(new URL('../../../protocol/SPEC.md', import.meta.url), 'utf8');
  const drawn = /<!-- machine: mqtt-link -->\n```mermaid\n([\s\S]*?)\n```/.exec(spec)?.[1];
  expect(drawn).toBe(toMermaid(mqttLinkMachine));
});
