/**
 * State machines as tables. The table is the machine: `step` is pure, an unlisted pair is a protocol violation,
 * and the diagrams in SPEC.md are drawn from the table by `toMermaid` (a test compares them).
 */
import { RdvError } from './errors.js';

export interface Transition<S extends string, F extends string> {
  readonly to: S;
  /** What the owner carries out, in this order, after storing the new state. */
  readonly effects: readonly F[];
}

export interface Machine<S extends string, E extends string, F extends string> {
  readonly name: string;
  readonly initial: S;
  readonly final: readonly S[];
  readonly table: Readonly<Record<S, Readonly<Partial<Record<E, Transition<S, F>>>>>>;
}

/** `machine[old].event → [new]`, for tracing. */
export type Trace = (line: string) => void;

/** The transition for `event` in `state`. @throws RdvError `protocol-violation` for an unlisted pair. */
export function step<S extends string, E extends string, F extends string>(
  machine: Machine<S, E, F>,
  state: S,
  event: E,
  trace?: Trace,
): Transition<S, F> {
  const transition = machine.table[state][event];
  if (!transition)
    throw new RdvError('protocol-violation', `${machine.name}: "${event}" is not possible in "${state}"`);
  trace?.(`${machine.name}[${state}].${event} → [${transition.to}]`);
  return transition;
}

/** Whether `event` is listed in `state`. */
export function accepts<S extends string, E extends string, F extends string>(
  machine: Machine<S, E, F>,
  state: S,
  event: E,
): boolean {
  return machine.table[state][event] !== undefined;
}

/** The machine as a Mermaid state diagram. */
export function toMermaid<S extends string, E extends string, F extends string>(machine: Machine<S, E, F>): string {
  const lines = ['stateDiagram-v2', `  [*] --> ${machine.initial}`];
  for (const [state, row] of Object.entries(machine.table) as [S, Partial<Record<E, Transition<S, F>>>][]) {
    for (const [event, transition] of Object.entries(row) as [E, Transition<S, F>][]) {
      const effects = transition.effects.length > 0 ? ` / ${transition.effects.join(', ')}` : '';
      lines.push(`  ${state} --> ${transition.to}: ${event}${effects}`);
    }
  }
  for (const state of machine.final) lines.push(`  ${state} --> [*]`);
  return lines.join('\n');
}
