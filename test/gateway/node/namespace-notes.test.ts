import type { NamespaceNote } from '@rdv/gateway/node/api';
import { blameNamespaces, noteNamespaces } from '@rdv/gateway/node/namespace-notes';
import { RdvError } from '@rdv/protocol/core/errors';
import type { Namespace, NamespaceState } from '@rdv/protocol/namespace/port';
import { describe, expect, it } from 'vitest';

function namespace(first: NamespaceState) {
  const listeners = new Set<(state: NamespaceState) => void>();
  const fake = {
    name: 'place',
    state: first,
    onState: (listener: (state: NamespaceState) => void) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const become = (state: NamespaceState): void => {
    fake.state = state;
    for (const listener of [...listeners]) listener(state);
  };
  return { namespace: fake as unknown as Namespace, become, listeners };
}

describe('notes on namespaces', () => {
  it('tell each change once, until closed', () => {
    const { namespace: place, become, listeners } = namespace('up');
    const notes: NamespaceNote[] = [];
    const open = noteNamespaces([place], (note) => notes.push(note));
    for (const state of ['up', 'down', 'down', 'up', 'closed'] as const) become(state);
    expect(notes.map(({ name, state }) => `${name} ${state}`)).toEqual(['place up', 'place down', 'place up']);
    open.close();
    become('down');
    expect(notes).toHaveLength(3);
    expect(listeners.size).toBe(0);
  });

  it('say why, where a namespace knows, whatever kind it is', () => {
    const { namespace: place } = namespace('down');
    const knowing = Object.assign(place, { lastError: new RdvError('unreachable', 'place: the cable is out') });
    const notes: NamespaceNote[] = [];
    noteNamespaces([knowing], (note) => notes.push(note)).close();
    expect(notes).toEqual([{ name: 'place', state: 'down', why: 'place: the cable is out' }]);
    expect(blameNamespaces(new RdvError('timeout', 'late'), [knowing]).message).toContain('the cable is out');
  });

  it('blame the namespaces only where none could be asked', () => {
    const [up, down] = [namespace('up').namespace, namespace('down').namespace];
    const late = new RdvError('timeout', 'late');
    expect(blameNamespaces(late, [down])).toMatchObject({
      code: 'unreachable',
      message: expect.stringContaining('place'),
    });
    expect(blameNamespaces(late, [up, down])).toBe(late);
    const refused = new RdvError('refused', 'no');
    expect(blameNamespaces(refused, [down])).toBe(refused);
  });
});
