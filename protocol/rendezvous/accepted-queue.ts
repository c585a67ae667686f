/** Conversations waiting for the application: an async iterator with one consumer that a publication fills. */
export class AcceptedQueue<T> implements AsyncIterator<T> {
  readonly #items: T[] = [];
  readonly #waiting: ((result: IteratorResult<T>) => void)[] = [];
  #ended = false;

  push(item: T): void {
    const waiting = this.#waiting.shift();
    if (waiting) waiting({ done: false, value: item });
    else if (!this.#ended) this.#items.push(item);
  }

  /** Items that nobody has taken yet. */
  get length(): number {
    return this.#items.length;
  }

  /** Takes back an item, if nobody has taken it yet. */
  remove(item: T): void {
    const at = this.#items.indexOf(item);
    if (at >= 0) this.#items.splice(at, 1);
  }

  /** What is queued is still handed out. */
  end(): void {
    this.#ended = true;
    for (const waiting of this.#waiting.splice(0)) waiting({ done: true, value: undefined });
  }

  next(): Promise<IteratorResult<T>> {
    const item = this.#items.shift();
    if (item !== undefined) return Promise.resolve({ done: false, value: item });
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  /** A `for await` that is left may be taken up again: nothing is dropped. */
  return(): Promise<IteratorResult<T>> {
    return Promise.resolve({ done: true, value: undefined });
  }
}
