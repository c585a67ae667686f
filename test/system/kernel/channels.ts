/** The native HCI socket on a stock kernel: our nodes as an ordinary user, on the user channel and on the raw one. */
import type { EmbeddedBroker } from '@rdv/gateway/server/embedded-broker';
import { expect } from 'vitest';
import { type Bench, freshTag } from '../../gateway/cli/rdv-process.js';
import { CAPABILITY_SET, capabilitySets, exclusive, node, rdv } from './guest.js';
import type { Command, Machine } from './machine.js';
import type { Step } from './verdicts.js';

/** Our nodes on the one channel or the other. @param broker here, not in the machine */
export function channelSteps(channel: 'user' | 'raw', bench: Bench, broker: EmbeddedBroker): Step[] {
  // QEMU's name for this machine.
  const far = broker.url.replace('127.0.0.1', '10.0.2.2');
  const tag = freshTag();
  let beacon: Command;
  const answer = async (machine: Machine, message: string): Promise<string> => {
    const args = ['respond', tag, '-n', broker.url, '--state', bench.path('nobody'), '--timeout', '90', '-m', message];
    const { out, err, code } = await machine.during(bench.run(args));
    return code === 0 ? out.trim() : `${code}: ${err}`;
  };
  const replugged: Step = [
    'hci0 is unplugged and plugged in again, and the beacon is there',
    async (machine) => {
      await machine.unplug(0);
      // Its number is free again once nobody holds it any more.
      await beacon.says(/there is no adapter hci0/);
      await machine.plug(0);
      await beacon.says(/the adapter is back/);
      expect(await answer(machine, 'still there')).toBe('STILL THERE');
      expect(beacon.output).not.toContain(tag);
    },
  ];
  const near: Step = [
    'somebody near meets it, over the air alone',
    async (machine) => {
      const near = rdv(machine, 'respond', tag, '-n', 'ble:', '--adapter', 'hci2', '-m', 'near', '--timeout', '90');
      await near.says(/NEAR/);
      expect(await near.ended).toBe(0);
    },
  ];
  return [
    [
      'a beacon takes hci0, as a user with its two capabilities only',
      async (machine) => {
        if (channel === 'raw') await machine.run('hciconfig hci0 up; hciconfig hci1 up; hciconfig hci2 up');
        const publication = { tag, namespaces: ['ble:'], bridge: 'any', handler: { exec: 'tr a-z A-Z' } };
        const roles = { beacon: { adapter: 'hci0', 'interval-ms': 100 } };
        beacon = await node(machine, 'beacon', { roles, publications: [publication] }, channel === 'raw');
        expect(await capabilitySets(machine)).toEqual([CAPABILITY_SET, CAPABILITY_SET]);
        expect(await exclusive(machine, 'hci0')).toBe(channel === 'user');
      },
    ],
    // Each end of a link on the raw channel may still make the kernel panic (see `asUser`): as few as can be.
    ...(channel === 'raw' ? [] : [near]),
    [
      'a gateway on hci1 carries it to a broker, and somebody far has a conversation with it',
      async (machine) => {
        // By its address, which is asked of one adapter after another.
        const adapter = channel === 'user' ? machine.adapters[1] : 'hci1';
        await node(machine, 'gateway', { roles: { gateway: { adapter, namespace: far } } }, channel === 'raw');
        expect(await exclusive(machine, 'hci1')).toBe(channel === 'user');
        expect(await exclusive(machine, 'hci2')).toBe(false);
        expect(await answer(machine, 'hello')).toBe('HELLO');
        expect(await answer(machine, 'and again')).toBe('AND AGAIN');
      },
    ],
    ...(channel === 'raw' ? [] : [replugged]),
  ];
}
