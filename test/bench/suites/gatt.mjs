import { BleNamespace } from '@rdv/gateway/namespaces/ble';
import { startBeaconRole } from '@rdv/gateway/node/beacon-role';
import { eidMatch } from '@rdv/gateway/node/eid-match';
import { createDialer } from '@rdv/gateway/radio/dialer';
import { Scanner } from '@rdv/gateway/radio/scanner';
import { Air } from '@rdv/hardware/air/air';
import { openInlineRadio } from '@rdv/hardware/host/inline-radio';
import { encodeNativeAdvert } from '@rdv/protocol/advert/native';
import { around, keepPublished } from '../publications.mjs';

export const title = 'Conversations opened over GATT: real noble and bleno on the virtual air, in real time';

const modules = {
  peripheral: new URL(import.meta.resolve('@rdv/beacon/bleno-peripheral')),
  central: new URL(import.meta.resolve('@rdv/gateway/radio/noble-central')),
};

export async function open() {
  process.setMaxListeners(0);
  const air = new Air({ seed: 7 });
  const radio = (role) =>
    openInlineRadio({ transport: air.controller(), modules: { [role]: modules[role] }, clock: around.clock });
  const kiosk = await radio('peripheral');
  const echo = await radio('peripheral');
  // A central connects to a beacon once at a time, so each case has its own phone.
  const phones = [];
  const phone = async () => {
    const { central, close } = await radio('central');
    const scanner = new Scanner(central, around);
    phones.push({ close: () => scanner.close().then(close) });
    return { central, scanner, dialer: createDialer(scanner, central) };
  };
  const beacon = startBeaconRole({
    radio: { peripheral: kiosk.peripheral },
    ports: around,
    intervalMs: 100,
    trustedKeys: [],
    nodeKey: undefined,
  });
  const published = keepPublished([beacon.namespace], async (publication, tag) =>
    beacon.advertise(publication.handle, tag, 'none'),
  );
  const ble = async (lingerMs) =>
    new BleNamespace({
      ...around,
      lingerMs,
      dialer: (await phone()).dialer,
      matchEid: (beaconKey) => eidMatch(around.clock, beaconKey),
    });
  const [leaves, stays] = [await ble(1), await ble(600_000)];

  // The floor: a peripheral that sends each packet back, and no protocol of ours on top.
  const eid = around.random(8);
  echo.peripheral.onLink((link) => link.onPacket((packet) => void link.send(packet).catch(() => {})));
  await echo.peripheral.advertise({
    data: encodeNativeAdvert({ eid, connectable: true, wantsBridging: false, hasMail: false, power: 2 }),
    scanResponse: new Uint8Array(0),
    intervalMs: 100,
    connectable: true,
    address: Uint8Array.of(0xc6, 5, 4, 3, 2, 1),
  });
  const bare = 'bare GATT: heard, connected, a packet there and back';
  const { dialer } = await phone();
  const packet = around.random(200);
  return {
    cases: [
      {
        name: 'conversation opened, from cold: heard, connected, link',
        unit: 'conversation',
        floor: bare,
        run: () => published.meet(leaves),
      },
      {
        name: 'conversation opened, link open before',
        unit: 'conversation',
        floor: bare,
        run: () => published.meet(stays),
      },
      {
        name: bare,
        unit: 'connection',
        run: async () => {
          const link = await dialer.dial((heard) => Buffer.compare(heard, eid) === 0, new AbortController().signal);
          const back = new Promise((resolve) => link.onPacket(resolve));
          await link.send(packet);
          await back;
          link.close();
        },
      },
    ],
    close: async () => {
      await published.close();
      await Promise.all([leaves.close(), stays.close()]);
      await beacon.close();
      for (const one of phones) await one.close();
      await Promise.all([kiosk.close(), echo.close()]);
      air.close();
    },
  };
}
