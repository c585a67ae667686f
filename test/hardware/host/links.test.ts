import type { AssembledRadio } from '@rdv/hardware/host/adapter-module';
import type { FromHost } from '@rdv/hardware/host/messages';
import {
  ADVERT_CREDITS,
  checkFromHost,
  checkToHost,
  fitText,
  LINK_CREDITS,
  type ToHost,
} from '@rdv/hardware/host/messages';
import { KEPT_PACKETS, PipeEnd } from '@rdv/hardware/host/pipe-end';
import { RemoteLink } from '@rdv/hardware/host/remote-link';
import { RadioServer } from '@rdv/hardware/host/serve';
import type { HeardAdvert } from '@rdv/hardware/radio/central';
import type { PeripheralLink } from '@rdv/hardware/radio/peripheral';
import { VirtualClock } from '@rdv/protocol/core/virtual-clock';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A vendor's pipe whose sends stay open until they are let go. */
class SlowPipe implements PeripheralLink {
  readonly localAddress = Uint8Array.of(1, 2, 3, 4, 5, 6);
  maxPacketBytes = 20;
  readonly end = new PipeEnd();
  readonly sending: { packet: Uint8Array; done: () => void }[] = [];
  send(packet: Uint8Array): Promise<void> {
    return new Promise((done) => this.sending.push({ packet, done }));
  }
  onPacket(listener: (packet: Uint8Array) => void): void {
    this.end.onPacket(listener);
  }
  onClose(listener: (reason: string) => void): void {
    this.end.onClose(listener);
  }
  close(reason = 'closed'): void {
    this.end.end(reason);
  }
}

function server(): {
  said: FromHost[];
  pipe: SlowPipe;
  server: RadioServer;
  advert: (advert: HeardAdvert) => void;
} {
  const said: FromHost[] = [];
  const pipe = new SlowPipe();
  let onLink: (link: PeripheralLink) => void = () => {};
  let onAdvert: (advert: HeardAdvert) => void = () => {};
  const radio: AssembledRadio = {
    central: {
      state: 'up',
      onState: () => () => {},
      scan: async (listener) => {
        onAdvert = listener;
        return { stop: async () => {} };
      },
      connect: async () => {
        throw new Error('41:02:03:04:05:06 went away');
      },
      close: async () => {},
    },
    peripheral: {
      state: 'up',
      onState: () => () => {},
      slots: 4,
      freeSlots: 3,
      advertise: async () => {},
      stopAdvertising: async () => {},
      onLink: (listener) => {
        onLink = listener;
      },
      close: async () => {},
    },
    reports: () => 0,
    onFreeSlots: () => {},
    probe: async () => {},
    close: async () => {},
  };
  const channel = { send: (message: unknown) => said.push(checkFromHost(message)) };
  const served = new RadioServer(channel, radio, { clock: new VirtualClock(), memory: () => 1, onClosed() {} });
  served.start();
  onLink(pipe);
  return { said, pipe, server: served, advert: (advert) => onAdvert(advert) };
}

describe('a link between node and radio host', () => {
  it('has at most its credits under way towards the air, and goes on as they come back', async () => {
    const posted: ToHost[] = [];
    const link = new RemoteLink(
      7,
      20,
      undefined,
      (message) => posted.push(message),
      async () => undefined,
    );
    let sent = 0;
    for (let i = 0; i < 100; i++)
      void link.send(Uint8Array.of(i)).then(
        () => sent++,
        () => {},
      );
    await turn();
    expect([sent, posted.length]).toEqual([LINK_CREDITS, LINK_CREDITS]);
    link.credited(5);
    await turn();
    expect(sent).toBe(LINK_CREDITS + 5);
    const order = posted.map((message) => message.t === 'packet' && message.data[0]);
    expect(order).toEqual(Array.from({ length: LINK_CREDITS + 5 }, (_, i) => i));
    link.ended('gone');
    await expect(link.send(Uint8Array.of(1))).rejects.toMatchObject({ code: 'closed' });
  });

  it('gives credit back only for packets that somebody took, and closes when nobody ever does', () => {
    const posted: ToHost[] = [];
    const link = new RemoteLink(
      7,
      20,
      undefined,
      (message) => posted.push(message),
      async () => undefined,
    );
    for (let i = 0; i < KEPT_PACKETS; i++) link.received(Uint8Array.of(i));
    expect(posted).toEqual([]);
    const got: number[] = [];
    link.onPacket((packet) => got.push(packet[0]!));
    expect(got).toHaveLength(KEPT_PACKETS);
    expect(posted).toEqual([{ t: 'credit', link: 7, count: KEPT_PACKETS }]);

    const deaf = new RemoteLink(
      8,
      20,
      undefined,
      (message) => posted.push(message),
      async () => undefined,
    );
    for (let i = 0; i <= KEPT_PACKETS; i++) deaf.received(Uint8Array.of(i));
    expect(posted.at(-1)).toEqual({ t: 'close-link', link: 8 });
  });

  it('takes a copy of what it sends, and refuses what does not fit', async () => {
    const posted: ToHost[] = [];
    const link = new RemoteLink(
      7,
      20,
      undefined,
      (message) => posted.push(message),
      async () => undefined,
    );
    const packet = Uint8Array.of(1, 2, 3);
    const sending = link.send(packet);
    packet.fill(9);
    await sending;
    expect(posted[0]).toMatchObject({ data: Uint8Array.of(1, 2, 3) });
    await expect(link.send(new Uint8Array(21))).rejects.toThrow('"packet"');
    link.resized(244);
    await link.send(new Uint8Array(21));
    await expect(link.send(new Uint8Array(0))).rejects.toThrow('"packet"');
  });

  it('in the host: credit comes back when the pipe has taken the packet; cheating closes', async () => {
    const { said, pipe, server: served } = server();
    for (let i = 0; i < LINK_CREDITS; i++) served.receive({ t: 'packet', link: 1, data: Uint8Array.of(i) });
    expect(pipe.sending).toHaveLength(LINK_CREDITS);
    pipe.sending[0]!.done();
    await turn();
    expect(said.filter((message) => message.t === 'credit')).toEqual([{ t: 'credit', link: 1, count: 1 }]);
    served.receive({ t: 'packet', link: 1, data: Uint8Array.of(1) });
    served.receive({ t: 'packet', link: 1, data: Uint8Array.of(1) });
    expect(said.at(-1)).toMatchObject({ t: 'closed', link: 1 });
  });

  it('in the host: what the node has no credit for waits, within bounds', () => {
    const { said, pipe, server: served } = server();
    const packets = (): number => said.filter((message) => message.t === 'packet').length;
    for (let i = 0; i < 100; i++) pipe.end.deliver(Uint8Array.of(i));
    expect(packets()).toBe(LINK_CREDITS);
    served.receive({ t: 'credit', link: 1, count: LINK_CREDITS });
    expect(packets()).toBe(2 * LINK_CREDITS);
    for (let i = 0; i < 1000; i++) pipe.end.deliver(Uint8Array.of(i));
    expect(said.at(-1)).toEqual({ t: 'closed', link: 1, reason: 'the node does not keep up' });
  });

  it('in the host: adverts beyond the credit are dropped and counted, and go on with the credit', async () => {
    const { said, server: served, advert } = server();
    served.receive({ t: 'call', id: 1, call: { m: 'scan', passive: true, allowDuplicates: true } });
    await turn();
    const one: HeardAdvert = {
      peer: { address: '41:02:03:04:05:06', type: 'random' },
      rssi: -1,
      connectable: false,
      serviceData: [],
      serviceUuids: [],
    };
    for (let i = 0; i < ADVERT_CREDITS + 10; i++) advert(one);
    const adverts = (): number => said.filter((message) => message.t === 'advert').length;
    expect(adverts()).toBe(ADVERT_CREDITS);
    served.receive({ t: 'advert-credit', count: 3 });
    for (let i = 0; i < 10; i++) advert(one);
    expect(adverts()).toBe(ADVERT_CREDITS + 3);
  });

  it('in the host: errors go back without addresses', async () => {
    const { said, server: served } = server();
    const connect = { m: 'connect', address: '41:02:03:04:05:06', type: 'random', deadlineMs: 5 };
    served.receive({ t: 'call', id: 9, call: connect });
    await turn();
    expect(said.at(-1)).toEqual({ t: 'error', id: 9, code: 'internal', message: '(address) went away' });
    expect(fitText('unknown peripheral 410203040506 connected!')).not.toContain('4102');
  });
});

describe('messages', () => {
  it('are taken whole or not at all, whatever comes', () => {
    const kinds = fc.constantFrom(
      'open',
      'call',
      'packet',
      'credit',
      'link',
      'advert',
      'beat',
      'done',
      'error',
      'closed',
    );
    const value = fc.oneof(fc.anything(), fc.uint8Array({ maxLength: 600 }), fc.integer(), fc.string());
    const fields = fc.constantFrom(
      'id',
      'link',
      'data',
      'count',
      'call',
      'advert',
      'code',
      'message',
      'reports',
      'reason',
    );
    fc.assert(
      fc.property(kinds, fc.dictionary(fields, value), (t, rest) => {
        for (const check of [checkToHost, checkFromHost]) {
          try {
            expect(check({ ...rest, t })).toMatchObject({ t });
          } catch (error) {
            expect(error).toMatchObject({ code: 'malformed' });
          }
        }
      }),
    );
  });

  it.each([
    [{ t: 'packet', link: 1, data: new Uint8Array(513) }],
    [{ t: 'packet', link: -1, data: new Uint8Array(1) }],
    [{ t: 'packet', link: 1, data: [1, 2] }],
    [{ t: 'credit', link: 1, count: 1e9 }],
    [{ t: 'call', id: 1, call: { m: 'connect', address: '41-02', type: 'random', deadlineMs: 1 } }],
    [{ t: 'call', id: 1, call: { m: 'reboot' } }],
    ['open'],
    [null],
  ])('refuses %j', (message) => {
    expect(() => checkToHost(message)).toThrow('bad message');
  });
});
