/**
 * What a command tells people about its namespaces: which can be used, which cannot and why. Namespaces go on trying
 * by themselves; nothing here decides anything.
 */
import { RdvError } from '@rdv/protocol/core/errors';
import type { Namespace } from '@rdv/protocol/namespace/port';
import type { NamespaceNote } from './api.js';

export interface NamespaceNotes {
  /** Idempotent. */
  close(): void;
}

/** What namespaces of ours know of themselves, besides the port. */
interface Explains extends Namespace {
  /** One line that says what is wrong. */
  readonly lastError?: RdvError | undefined;
  readonly firstAttempt?: Promise<void>;
}

function reasonOf(namespace: Explains): RdvError | undefined {
  return namespace.lastError;
}

/** Calls `onNote` with the state of each namespace as soon as it is known, and with every change, until closed. */
export function noteNamespaces(namespaces: readonly Explains[], onNote: (note: NamespaceNote) => void): NamespaceNotes {
  let open = true;
  const stops = namespaces.map((namespace) => {
    let told: NamespaceNote['state'] | undefined;
    const tell = (): void => {
      const { state, name } = namespace;
      if (!open || state === 'closed' || state === told) return;
      told = state;
      onNote({ name, state, why: state === 'down' ? reasonOf(namespace)?.message : undefined });
    };
    // One that is still connecting for the first time is neither: what comes of it is worth a line.
    if (namespace.state === 'up' || reasonOf(namespace)) tell();
    else namespace.firstAttempt?.then(tell, tell);
    return namespace.onState(tell);
  });
  return {
    close() {
      open = false;
      for (const stop of stops) stop();
    },
  };
}

/** `error`, or why none of the namespaces can be reached, where that is the reason. */
export function blameNamespaces(error: RdvError, namespaces: readonly Namespace[]): RdvError {
  if (error.code !== 'timeout' && error.code !== 'not-published') return error;
  if (namespaces.some(({ state }) => state !== 'down')) return error;
  const whys = namespaces.map((namespace) => reasonOf(namespace)?.message ?? `${namespace.name}: no answer so far`);
  return new RdvError('unreachable', `nobody could be asked: ${whys.join('; ')}`, { cause: error });
}
