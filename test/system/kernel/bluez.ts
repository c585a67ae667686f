/**
 * BlueZ as an independent peer, both ways: its tools and its daemon hear our beacon and open a link to it; our gateway
 * finds and visits a peripheral that its daemon serves.
 */

import type { EmbeddedBroker } from '@rdv/gateway/server/embedded-broker';
import { formatAddress } from '@rdv/hardware/air/address';
import { NOTIFY_UUID, SERVICE_UUID, WRITE_UUID } from '@rdv/protocol/core/constants';
import { expect } from 'vitest';
import { freshTag } from '../../gateway/cli/rdv-process.js';
import { node } from './guest.js';
import { type Command, type Machine, ROOT } from './machine.js';
import { openThrough, type Tool } from './tool-pipe.js';
import type { Step } from './verdicts.js';

/** The address that our beacon has on the air now. */
const beaconAddress = (machine: Machine): string => formatAddress(machine.controller(0).advertiser.address!);
const bare = (digits: string): string => digits.replaceAll(/\s/g, '');

/** @param write the handle of what is written to */
function gatttool(tool: Command, write: string): Tool {
  return {
    writer: tool,
    reader: tool,
    say: (hex) => `char-write-cmd ${write} ${hex}`,
    heard: (output) =>
      [...output.matchAll(/Notification handle = \S+ value: ([0-9a-f ]+)\n/g)].map(([, hex]) => bare(hex!)),
  };
}

/** Two of them: it prints what comes for the attribute that is selected, and no other. */
const bluetoothctl = (writer: Command, reader: Command): Tool => ({
  writer,
  reader,
  say: (hex) => `write "${hex.replaceAll(/../g, '0x$& ').trim()}" 0 command`,
  // A dump of 16 bytes a line; none here is of 16 or 32 bytes, so a shorter line is its last.
  heard(output) {
    const lines = output.replaceAll(/^\[[^\]\n]*\]# /gm, '');
    const dumps = lines.matchAll(
      /Attribute \S+ Value:\n((?: {2}(?:[0-9a-f]{2} ){16}.*\n)* {2}(?:[0-9a-f]{2} ){1,15} .*\n)/g,
    );
    return [...dumps].map(([, dump]) =>
      bare([...dump!.matchAll(/^ {2}((?:[0-9a-f]{2} )+)/gm)].map(([, hex]) => hex!).join('')),
    );
  },
});

const served = (program: Command): Tool => ({
  writer: program,
  reader: program,
  say: (hex) => hex,
  heard: (output) => [...output.matchAll(/^written ([0-9a-f]+)\n/gm)].map(([, hex]) => hex!),
});

/** @param broker here, not in the machine */
export function bluezSteps(broker: EmbeddedBroker): Step[] {
  return [
    [
      'hcitool hears our beacon, under the address that it took for itself',
      async (machine) => {
        const publication = { tag: freshTag(), namespaces: ['ble:'], bridge: 'none', handler: { reply: 'x' } };
        const roles = { beacon: { adapter: 'hci0', 'interval-ms': 100 } };
        await node(machine, 'beacon', { roles, publications: [publication] });
        await machine.run('hciconfig hci1 up');
        const scan = machine.start('stdbuf -oL hcitool -i hci1 lescan');
        await scan.says(new RegExp(beaconAddress(machine), 'i'));
        await scan.kill('INT');
        await scan.ended;
        expect(beaconAddress(machine)).not.toBe(machine.adapters[0]);
      },
    ],
    [
      'gatttool finds our service, writes to it, is notified by it, and so opens a link',
      async (machine) => {
        const tool = machine.start(`stdbuf -oL gatttool -i hci1 -b ${beaconAddress(machine)} -t random -I`);
        await tool.type('connect');
        await tool.says(/Connection successful/);
        await tool.type('characteristics');
        const handle = (uuid: string): Promise<string> =>
          tool.says(new RegExp(`value handle: (0x\\w+), uuid: ${uuid}`));
        const [write, notify] = [await handle(WRITE_UUID), await handle(NOTIFY_UUID)];
        // Its configuration is the next attribute: bleno lays them out so.
        await tool.type(`char-write-req 0x${(Number(notify) + 1).toString(16)} 0100`);
        await tool.says(/written successfully/);
        const beacon = await machine.during(openThrough(gatttool(tool, write), 'visitor', 'initiator'));
        expect(beacon).toMatchObject({ role: 'publisher', answersKeyed: true });
        await tool.type('disconnect');
        await tool.kill('KILL');
      },
    ],
    [
      'bluetoothd and bluetoothctl hear it, connect, and open a link likewise',
      async (machine) => {
        await machine.run('dbus-daemon --system --fork --nopidfile');
        machine.start('bluetoothd -n');
        const start = async (): Promise<Command> => {
          const started = machine.start('stdbuf -oL bluetoothctl');
          await started.says(/Agent registered/);
          await started.type(`select ${machine.adapters[2]!.toUpperCase()}`);
          return started;
        };
        const [tool, writer] = [await start(), await start()];
        const address = beaconAddress(machine).toUpperCase();
        await tool.type('power on');
        await tool.says(/Changing power on succeeded/);
        await tool.type('scan le');
        await tool.says(new RegExp(`Device ${address}`));
        await tool.type('scan off');
        await tool.says(/Discovery stopped/);
        await tool.type(`info ${address}`);
        await tool.says(new RegExp(`ServiceData Key: ${SERVICE_UUID}`));
        await writer.type('menu gatt');
        await tool.type(`connect ${address}`);
        for (const each of [tool, writer]) await each.says(/ServicesResolved: yes/);
        await tool.type('menu gatt');
        await tool.type(`select-attribute ${NOTIFY_UUID}`);
        await tool.type('notify on');
        await tool.says(/Notify started/);
        await writer.type(`select-attribute ${WRITE_UUID}`);
        const beacon = await machine.during(openThrough(bluetoothctl(writer, tool), 'visitor', 'initiator'));
        expect(beacon.role).toBe('publisher');
        for (const each of [writer, tool]) {
          await each.type('quit');
          await machine.during(each.ended);
        }
      },
    ],
    [
      'our gateway finds a peripheral that bluetoothd serves, and opens a link to it',
      async (machine) => {
        // Wants bridging, connectable, version 1 (SPEC §8); its EID is nobody's.
        const advert = '13a1a2a3a4a5a6a7a802';
        const words = ['hci1', SERVICE_UUID, WRITE_UUID, NOTIFY_UUID, advert].join(' ');
        const peripheral = machine.start(`python3 -u ${ROOT}/test/system/kernel/guest/peripheral.py ${words}`);
        await peripheral.says(/serving/);
        const namespace = broker.url.replace('127.0.0.1', '10.0.2.2');
        const gateway = await node(machine, 'gateway', { roles: { gateway: { adapter: 'hci3', namespace } } });
        await peripheral.says(/^subscribed/m);
        const visitor = await machine.during(openThrough(served(peripheral), 'publisher', 'responder'));
        expect(visitor.role).toBe('gateway');
        expect(gateway.output).not.toContain('a1a2a3a4a5a6a7a8');
      },
    ],
  ];
}
