/** A namespace as it is, and when frames were handed to it: which way a conversation takes. */
import type { Namespace } from '@rdv/protocol/namespace/port';

export interface Counting {
  readonly namespace: Namespace;
  /** When each frame was sent, performance.now(). */
  readonly sent: number[];
}

export function counting(inner: Namespace): Counting {
  const sent: number[] = [];
  const namespace = new Proxy(inner, {
    get: (target, key) => {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]): unknown => {
        if (key === 'send') sent.push(performance.now());
        return Reflect.apply(value, target, args);
      };
    },
  });
  return { namespace, sent };
}
