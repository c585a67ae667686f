/** A radio host without a process and without a radio: what it is sent is kept, what it says is scripted. */
import type { Channel } from '@rdv/hardware/host/channel';
import { checkToHost, type FromHost, type ToHost } from '@rdv/hardware/host/messages';

export class FakeHost implements Channel {
  readonly sent: ToHost[] = [];
  closed = false;
  #onMessage: (message: unknown) => void = () => {};
  #onClose: (reason: string) => void = () => {};

  send(message: unknown): void {
    if (this.closed) return;
    const checked = checkToHost(message);
    this.sent.push(checked);
    // An honest host always lets itself be closed.
    if (checked.t === 'call' && checked.call.m === 'close')
      queueMicrotask(() => this.say({ t: 'done', id: checked.id }));
  }

  onMessage(listener: (message: unknown) => void): void {
    this.#onMessage = listener;
  }

  onClose(listener: (reason: string) => void): void {
    this.#onClose = listener;
  }

  close(): void {
    this.closed = true;
  }

  say(message: FromHost): void {
    this.#onMessage(message);
  }

  sayAnything(message: unknown): void {
    this.#onMessage(message);
  }

  die(reason: string): void {
    this.#onClose(reason);
  }

  beat(reports = 0, rssBytes = 0): void {
    this.say({ t: 'beat', reports, dropped: 0, freeSlots: 4, links: 0, rssBytes });
  }

  /** The calls of kind `m` so far. */
  calls(m: string): readonly (ToHost & { t: 'call' })[] {
    return this.sent.filter(
      (message): message is ToHost & { t: 'call' } => message.t === 'call' && message.call.m === m,
    );
  }

  /** Answers the last call of kind `m`. */
  answer(m: string, value?: number): void {
    const call = this.calls(m).at(-1);
    if (!call) throw new Error(`no call "${m}"`);
    this.say({ t: 'done', id: call.id, ...(value !== undefined && { value }) });
  }
}
