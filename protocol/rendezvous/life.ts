/**
 * What happens to a publication but responses (SPEC §5): taken back, out of sight for a while, renewed, expired, found
 * used up. Each step is stored first; then records or tombstones follow. The table is `lifecycle.ts`.
 */
import { CanceledError, RdvError, toRdvError } from '../core/errors.js';
import { accepts } from '../core/machine.js';
import type { Clock, Logger, Timer } from '../core/ports.js';
import type { Acceptance } from './acceptance.js';
import { type LifecycleEvent, type LifecycleState, lifecycleMachine } from './lifecycle.js';
import { assertCount, expiryOf } from './publish-checks.js';
import type { RecordKeeper } from './record-keeper.js';

const LONGEST_TIMER_MS = 86_400_000;

export interface LifeInit {
  readonly acceptance: Acceptance;
  readonly keeper: RecordKeeper;
  readonly clock: Clock;
  readonly log: Logger;
  /** How many responses are accepted at most. */
  readonly limit: number;
  readonly onEvent: (event: LifecycleState) => void;
}

function over(state: LifecycleState): RdvError {
  const what = state === 'consumed' ? 'is used up' : state === 'expired' ? 'has expired: renew it' : 'was taken back';
  return new RdvError('refused', `this publication ${what}${state === 'expired' ? '' : ': publish the tag again'}`);
}

export class PublicationLife {
  readonly #init: LifeInit;
  #expiryTimer: Timer | undefined;
  #closed = false;

  constructor(init: LifeInit) {
    this.#init = init;
  }

  get #state(): LifecycleState {
    return this.#init.acceptance.state.lifecycle;
  }

  get #hasRoom(): boolean {
    return this.#init.acceptance.state.accepted < this.#init.limit;
  }

  /** Takes up the life where the store left it, and puts the records or the tombstones that follow from it. */
  async open(): Promise<void> {
    const { acceptance, keeper } = this.#init;
    // A publication that is used up stays so; one that was taken back, or may now take more, is published again.
    const again = this.#state !== 'full' || this.#hasRoom;
    if (again && !this.#isExpired() && accepts(lifecycleMachine, this.#state, 'publish')) {
      await acceptance.change('publish');
    }
    const publishing = this.#state === 'published' || this.#state === 'full';
    await keeper.open(publishing);
    // A crash may have come between the decision and its tombstones.
    if (!publishing) await keeper.withdraw(this.#state === 'consumed' ? 'consumed' : 'withdrawn');
    this.#armExpiry();
  }

  /** See `Publication`. */
  async unpublish(): Promise<void> {
    this.#assertOpen();
    const state = this.#state;
    if (accepts(lifecycleMachine, state, 'withdraw')) await this.#init.acceptance.change('withdraw');
    else if (state !== 'withdrawn') return;
    // Also a second time, should the store have failed between the two.
    await this.#init.keeper.withdraw('withdrawn');
    this.#init.onEvent('withdrawn');
  }

  /** See `Publication`. */
  async deactivate(): Promise<void> {
    this.#assertOpen();
    if (this.#state === 'inactive') return;
    await this.#change('deactivate');
    await this.#init.keeper.withdraw('withdrawn');
    this.#init.onEvent('inactive');
  }

  /** See `Publication`. */
  async activate(): Promise<void> {
    this.#assertOpen();
    if (this.#state === 'published' || this.#state === 'full') return;
    await this.#change(this.#hasRoom ? 'activate' : 'activate-full');
    await this.#init.keeper.publish();
    this.#init.onEvent(this.#state);
  }

  /** See `Publication`. */
  async renew(ttlSeconds?: number): Promise<void> {
    this.#assertOpen();
    if (ttlSeconds !== undefined) assertCount('ttlSeconds', ttlSeconds);
    const { acceptance, keeper, clock } = this.#init;
    const before = this.#state;
    if (before === 'consumed' || before === 'withdrawn') throw over(before);
    const expiry = ttlSeconds === undefined ? 0 : expiryOf(ttlSeconds, undefined, clock);
    if (before === 'expired') await acceptance.change('publish', expiry);
    else await acceptance.renew(expiry);
    this.#armExpiry();
    await keeper.renew(expiry, before !== 'inactive');
    if (before === 'expired') this.#init.onEvent('published');
  }

  /** A tombstone of our own says that the publication was used up before its store was restored. @returns whether that is news */
  foundConsumed(): boolean {
    if (!accepts(lifecycleMachine, this.#state, 'found-consumed')) return false;
    this.#init.log.warn('this publication was used up before its store was restored: taken back');
    const stored = this.#init.acceptance.change('found-consumed').then(() => {
      this.withdrawConsumed();
      this.#init.onEvent('consumed');
    });
    stored.catch(this.#failed('the used-up publication could not be stored'));
    return true;
  }

  /** The tombstones of a used-up single-shot. */
  withdrawConsumed(): void {
    this.#init.keeper.withdraw('consumed').catch(this.#failed('the used-up publication could not be taken back'));
  }

  /** Idempotent. */
  close(): void {
    this.#closed = true;
    this.#expiryTimer?.cancel();
  }

  #assertOpen(): void {
    if (this.#closed) throw new CanceledError('the publication is closed');
  }

  async #change(event: LifecycleEvent): Promise<void> {
    if (!accepts(lifecycleMachine, this.#state, event)) throw over(this.#state);
    await this.#init.acceptance.change(event);
  }

  /** Records expire by themselves; what is left to do is to say so. */
  #armExpiry(): void {
    this.#expiryTimer?.cancel();
    const { clock, acceptance } = this.#init;
    const { lifecycle, expiry } = acceptance.state;
    if (expiry === 0 || !accepts(lifecycleMachine, lifecycle, 'expire')) return;
    // In steps, for timers of many days do not exist everywhere.
    const leftMs = Math.max(0, expiry * 1000 - clock.now());
    this.#expiryTimer = clock.schedule(Math.min(leftMs, LONGEST_TIMER_MS), () => {
      if (!this.#isExpired()) this.#armExpiry();
      else if (accepts(lifecycleMachine, this.#state, 'expire')) this.#expire();
    });
  }

  #expire(): void {
    const expired = this.#init.acceptance.change('expire').then(() => this.#init.onEvent('expired'));
    expired.catch(this.#failed('the expiry could not be stored'));
  }

  #isExpired(): boolean {
    const { expiry } = this.#init.acceptance.state;
    return expiry !== 0 && this.#init.clock.now() >= expiry * 1000;
  }

  #failed(message: string): (error: unknown) => void {
    return (error) => this.#init.log.error(message, { code: toRdvError(error).code });
  }
}
