/** Puts what a board's radio sends on the virtual air: the emulated board's from its memory, the native one's as it says. */
import type { Air } from '@rdv/hardware/air/air';
import type { Controller } from '@rdv/hardware/air/controller';
import { OP } from '@rdv/hardware/air/hci-codes';
import { toHex } from '@rdv/protocol/core/bytes';
import { addressBytes, HciHost } from '../hardware/air/hci-host.js';
import type { EmulatedMicrobit } from './emulated-microbit.js';
import type { NativeBoard } from './native-board.js';

const LOOK_MS = 20;
const NONCONNECTABLE = 3;
const RANDOM_ADDRESS = 1;

interface Sent {
  /** `aa:bb:cc:dd:ee:ff` */
  readonly address: string;
  readonly data: string;
}

const colons = (hex: string): string => hex.match(/../g)!.join(':');

/** The advert in the emulated radio's memory: header, length, address with its least significant byte first, data. */
export async function microbitSends(board: EmulatedMicrobit): Promise<Sent | undefined> {
  const pdu = await board.radioPdu();
  if (pdu.length === 0) return undefined;
  return { address: colons(toHex(pdu.slice(2, 8).reverse())), data: toHex(pdu.subarray(8)) };
}

export async function nativeSends({ air }: NativeBoard): Promise<Sent | undefined> {
  return air && air.kind !== 0 ? { address: colons(air.address), data: air.data } : undefined;
}

export class BoardOnAir {
  readonly controller: Controller;
  readonly #host: HciHost;
  readonly #sends: () => Promise<Sent | undefined>;
  #shown = '';
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> = Promise.resolve();

  constructor(air: Air, sends: () => Promise<Sent | undefined>) {
    this.controller = air.controller();
    this.#host = new HciHost(this.controller);
    this.#sends = sends;
    this.#next();
  }

  #next(): void {
    this.#timer = setTimeout(() => {
      this.#looking = this.#look().then(
        () => this.#next(),
        () => {},
      );
    }, LOOK_MS);
  }

  async #look(): Promise<void> {
    const sent = await this.#sends();
    const now = JSON.stringify(sent ?? '');
    if (now === this.#shown) return;
    if (this.#shown !== '' && this.#shown !== '""') this.#host.command(OP.leSetAdvertisingEnable, 0);
    this.#shown = now;
    if (!sent) return;
    this.#host.command(OP.leSetRandomAddress, ...addressBytes(sent.address));
    this.#host.advertise({ type: NONCONNECTABLE, ownType: RANDOM_ADDRESS, data: sent.data });
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#looking;
    clearTimeout(this.#timer);
  }
}
