/** Our own command in the machine, as a user with the two capabilities that the unit file gives, and no others. */
import { type Command, type Machine, ROOT } from './machine.js';

const CAPABILITIES = '-all,+net_raw,+net_admin';
/** Bits 12 and 13: CAP_NET_ADMIN and CAP_NET_RAW (capability.h). */
export const CAPABILITY_SET = '0000000000003000';

export const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** `command` as that user. */
export function asUser(command: string): string {
  return [
    'exec setpriv --reuid 1000 --regid 1000 --clear-groups --no-new-privs',
    `--inh-caps=${CAPABILITIES} --ambient-caps=${CAPABILITIES} --bounding-set=${CAPABILITIES}`,
    `env -i HOME=/run/guest PATH=/usr/bin:/bin NO_COLOR=1 ${command}`,
  ].join(' ');
}

/**
 * Before others, for what is on the raw channel: there Linux 6.1 frees a channel twice (hci_chan_del) when its own stack learns
 * of the end of a link before the addon has closed the link's L2CAP socket. Both are woken by the same event: who has the
 * better priority is first, and with `preempt=full` (machine.ts) at once. That makes it rare, not impossible.
 */
async function first(machine: Machine): Promise<void> {
  const each =
    'for p in /proc/[0-9]*/status; do grep -q "^Uid:.1000" $p && renice -n -10 -p $(echo $p | cut -d/ -f3); done';
  await machine.run(`${each}; true`);
}

/** `rdv` with these arguments, running. */
export function rdv(machine: Machine, ...args: readonly string[]): Command {
  const words = [process.execPath, `${ROOT}/gateway/bin/rdv.js`, ...args].map(quoted).join(' ');
  return machine.start(`cd ${quoted(ROOT)}; ${asUser(words)}`);
}

/** `rdv run` with `config`, once it is up. @param raw on the raw channel */
export async function node(machine: Machine, name: string, config: object, raw = false): Promise<Command> {
  const file = machine.file(`${name}.yaml`, JSON.stringify({ version: 1, state: `/run/guest/${name}`, ...config }));
  const running = rdv(machine, 'run', '--config', file, '--json', '-v');
  await running.says(/"event":"up"/);
  if (raw) await first(machine);
  return running;
}

/** The capabilities of each process of that user: the node, and the hosts of its radios. */
export async function capabilitySets(machine: Machine): Promise<string[]> {
  const script = 'for p in /proc/[0-9]*/status; do grep -q "^Uid:.1000" $p && sed -n "s/^CapEff:.//p" $p; done; true';
  return (await machine.run(script)).split('\n').filter((line) => line !== '');
}

/** Whether the kernel keeps its own stack away from the adapter, as it does while somebody has its user channel. */
export async function exclusive(machine: Machine, adapter: string): Promise<boolean> {
  // Resetting the adapter's counters is refused then, and harmless otherwise.
  return (await machine.run(`hciconfig ${adapter} rstat 2>&1 || true`)).includes('busy');
}
