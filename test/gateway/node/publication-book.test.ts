import { type BookEntry, PublicationBook } from '@rdv/gateway/node/publication-book';
import { systemRandom } from '@rdv/hardware/host/system';
import { MemoryStore } from '@rdv/protocol/core/memory-store';
import { TagSecret } from '@rdv/protocol/tag/derived';
import { realmOf } from '@rdv/protocol/tag/secret';
import { newRandomTag } from '@rdv/protocol/tag/tag';
import { describe, expect, it } from 'vitest';

const secretOf = (tag = newRandomTag(systemRandom)): Promise<TagSecret> => TagSecret.fromTag(tag, realmOf(''));

describe('the publication book', () => {
  it('finds a publication by its tag, over restarts, and forgets it', async () => {
    const store = new MemoryStore();
    const tag = newRandomTag(systemRandom);
    const book = new PublicationBook(store, systemRandom);
    const entry: BookEntry = {
      handle: 'ab'.repeat(16),
      mark: await book.mark(await secretOf(tag)),
      title: 'desk',
      lifecycle: { kind: 'limited', limit: 7 },
      namespaces: ['mqtt://a', 'ble:'],
    };
    await book.keep(entry);
    const later = new PublicationBook(store, systemRandom);
    expect(later.find(await later.mark(await secretOf(tag)))).toEqual(entry);
    expect(later.find(await later.mark(await secretOf()))).toBeUndefined();
    await later.forget(entry.handle);
    expect(later.all()).toEqual([]);
  });

  it.each([
    { kind: 'unlimited' },
    { kind: 'single' },
    { kind: 'limited', limit: 1 },
  ] as const)('keeps %j', async (lifecycle) => {
    const book = new PublicationBook(new MemoryStore(), systemRandom);
    await book.keep({ handle: '00', mark: new Uint8Array(32), title: undefined, lifecycle, namespaces: [] });
    expect(book.all()[0]).toMatchObject({ lifecycle, title: undefined });
  });

  it('marks one tag differently in each store: stolen ones cannot be matched with each other', async () => {
    const tag = newRandomTag(systemRandom);
    const marks = await Promise.all(
      [1, 2].map(async () => new PublicationBook(new MemoryStore(), systemRandom).mark(await secretOf(tag))),
    );
    expect(marks[0]).not.toEqual(marks[1]);
  });

  it('refuses what is damaged', async () => {
    const store = new MemoryStore();
    await store.commit([{ key: 'node/publication/00', value: Uint8Array.of(0x80) }]);
    expect(() => new PublicationBook(store, systemRandom).all()).toThrow(/damaged/);
  });
});
