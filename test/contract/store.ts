/** What every Store does: atomic, ordered transactions that readers see at once. */
import { RdvError } from '@rdv/protocol/core/errors';
import type { Store } from '@rdv/protocol/core/ports';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

export interface StoreRig {
  readonly store: Store;
  /** The same store after a clean close. Undefined where nothing outlives it. */
  readonly reopen?: () => Promise<Store>;
  dispose(): Promise<void>;
}

export function storeContract(name: string, makeRig: () => Promise<StoreRig>): void {
  describe(`store contract: ${name}`, () => {
    let rig: StoreRig;
    let store: Store;
    beforeEach(async () => {
      rig = await makeRig();
      store = rig.store;
    });
    afterEach(() => rig.dispose());
    const value = (...bytes: number[]): Uint8Array => Uint8Array.from(bytes);

    it('reads what was committed, from the call on', async () => {
      expect(store.get('a')).toBeUndefined();
      const committed = store.commit([{ key: 'a', value: value(1, 2) }]);
      expect(store.get('a')).toEqual(value(1, 2));
      await committed;
      expect(store.get('a')).toEqual(value(1, 2));
    });

    it('takes transactions in call order', async () => {
      const all = Array.from({ length: 50 }, (_, i) => store.commit([{ key: 'n', value: value(i) }]));
      expect(store.get('n')).toEqual(value(49));
      await Promise.all(all);
      expect(store.get('n')).toEqual(value(49));
    });

    it('deletes, lists by prefix in order, and keeps neighbours', async () => {
      await store.commit(['p/b', 'p/a', 'q/a', 'p'].map((key, i) => ({ key, value: value(i) })));
      await store.commit([{ key: 'p/b', value: null }]);
      expect(store.list('p/')).toEqual([['p/a', value(1)]]);
      expect(store.list('').map(([key]) => key)).toEqual(['p', 'p/a', 'q/a']);
    });

    it('keeps its own copies', async () => {
      const given = value(1);
      const committed = store.commit([{ key: 'a', value: given }]);
      given[0] = 9;
      await committed;
      store.get('a')![0] = 9;
      store.list('')[0]![1][0] = 9;
      expect(store.get('a')).toEqual(value(1));
    });

    it('refuses keys and values that it could not keep, whole', async () => {
      const bad = [
        { key: 'good', value: value(1) },
        { key: '../x y', value: value(1) },
      ];
      await expect(store.commit(bad)).rejects.toBeInstanceOf(RdvError);
      expect(store.get('good')).toBeUndefined();
    });

    it('refuses commits once closed, after finishing those under way', async () => {
      const committed = store.commit([{ key: 'a', value: value(1) }]);
      await store.close();
      await committed;
      await store.close();
      await expect(store.commit([])).rejects.toMatchObject({ code: 'store' });
    });

    it('has everything again when reopened, where it outlives itself', async () => {
      await store.commit([
        { key: 'empty', value: value() },
        { key: 'large', value: new Uint8Array(100_000).fill(7) },
      ]);
      await store.close();
      if (!rig.reopen) return expect(rig.reopen).toBeUndefined();
      const again = await rig.reopen();
      expect(again.list('').map(([key, bytes]) => [key, bytes.length])).toEqual([
        ['empty', 0],
        ['large', 100_000],
      ]);
      await again.close();
    });
  });
}
