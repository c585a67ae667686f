/** The life of a connection between two controllers, as a table. `link.ts` carries out the effects. */
import type { Machine } from '@rdv/protocol/core/machine';

/**
 * `open` both ends hear each other · `silent` out of range · `terminating` an end has asked to disconnect ·
 * `fading` it has asked while out of range · `orphaned` one controller is gone or was reset · `closed`.
 */
export type LinkState = 'open' | 'silent' | 'terminating' | 'fading' | 'orphaned' | 'closed';
export type LinkEvent = 'lost' | 'found' | 'terminate' | 'exchanged' | 'abandoned' | 'supervised';
/**
 * `watch`/`unwatch` the supervision timeout · `arm` the next connection event · `part` as asked · `drop` by timeout ·
 * `forget` it, since nobody is left to be told.
 */
export type LinkEffect = 'watch' | 'unwatch' | 'arm' | 'part' | 'drop' | 'forget';

export const linkMachine: Machine<LinkState, LinkEvent, LinkEffect> = {
  name: 'air-link',
  initial: 'open',
  final: ['closed'],
  table: {
    open: {
      lost: { to: 'silent', effects: ['watch'] },
      terminate: { to: 'terminating', effects: ['arm'] },
      abandoned: { to: 'orphaned', effects: ['watch'] },
    },
    silent: {
      found: { to: 'open', effects: ['unwatch', 'arm'] },
      terminate: { to: 'fading', effects: [] },
      abandoned: { to: 'orphaned', effects: [] },
      supervised: { to: 'closed', effects: ['drop'] },
    },
    terminating: {
      exchanged: { to: 'closed', effects: ['part'] },
      lost: { to: 'fading', effects: ['watch'] },
      abandoned: { to: 'orphaned', effects: ['watch'] },
    },
    fading: {
      found: { to: 'terminating', effects: ['unwatch', 'arm'] },
      abandoned: { to: 'orphaned', effects: [] },
      supervised: { to: 'closed', effects: ['drop'] },
    },
    orphaned: {
      terminate: { to: 'orphaned', effects: [] },
      abandoned: { to: 'closed', effects: ['forget'] },
      supervised: { to: 'closed', effects: ['drop'] },
    },
    closed: {},
  },
};
