/** SPEC.md says what the code does: its diagrams are the tables, its numbers and UUIDs the constants. */
import { readdirSync, readFileSync } from 'node:fs';
import { LINK_QUOTA } from '@rdv/gateway/bridge/meter';
import { DATAGRAM_BYTES, ONE_DATAGRAM_FRAME_BYTES, PART_BYTES, PARTS_MAX } from '@rdv/gateway/namespaces/udp-codec';
import { UDP_GROUP, UDP_PORT } from '@rdv/gateway/namespaces/udp-target';
import * as c from '@rdv/protocol/core/constants';
import { type Machine, toMermaid } from '@rdv/protocol/core/machine';
import { LINK_RATE, PUBLICATION_RATE } from '@rdv/protocol/rendezvous/inbox';
import { describe, expect, it } from 'vitest';

type AnyMachine = Machine<string, string, string>;

const root = new URL('../../', import.meta.url);
const spec = readFileSync(new URL('protocol/SPEC.md', root), 'utf8');
const words = spec.replaceAll(/\s+/g, ' ');
const drawn = new Map(
  [...spec.matchAll(/<!-- machine: (\S+) -->\s*```mermaid\n([\s\S]*?)\n```/g)].map(([, name, drawing]) => [
    name!,
    drawing!,
  ]),
);

/** Every table that a file below `folder` exports. */
async function machinesIn(folder: 'protocol' | 'gateway'): Promise<AnyMachine[]> {
  const found: AnyMachine[] = [];
  const files = readdirSync(new URL(`${folder}/`, root), { recursive: true, encoding: 'utf8' });
  for (const file of files) {
    if (!file.endsWith('.ts') || /(^|\/)(dist|node_modules)\//.test(file)) continue;
    const text = readFileSync(new URL(`${folder}/${file}`, root), 'utf8');
    for (const [, name] of text.matchAll(/^export const (\w+): Machine</gm)) {
      const module = (await import(`@rdv/${folder}/${file.slice(0, -3)}`)) as Record<string, AnyMachine>;
      found.push(module[name!]!);
    }
  }
  return found;
}

describe('SPEC.md', () => {
  it('draws every machine of the protocol, each as its table is', async () => {
    const machines = await machinesIn('protocol');
    expect(machines.length).toBeGreaterThanOrEqual(3);
    for (const machine of machines) expect(drawn.get(machine.name), machine.name).toBe(toMermaid(machine));
  });

  it('draws nothing that is no machine', async () => {
    const machines = [...(await machinesIn('protocol')), ...(await machinesIn('gateway'))];
    const tables = new Map(machines.map((machine) => [machine.name, toMermaid(machine)]));
    for (const [name, drawing] of drawn) expect(tables.get(name), name).toBe(drawing);
  });

  const list = (sizes: readonly number[]): string => `${sizes.slice(0, -1).join(', ')} or ${sizes.at(-1)}`;
  const grouped = (n: number): string => n.toLocaleString('en-US');
  it.each<[string, string]>([
    ['§13', `at most ${DATAGRAM_BYTES} bytes: a header of ${DATAGRAM_BYTES - PART_BYTES} and one part`],
    ['§13', `number of parts, 1 to ${PARTS_MAX}`],
    ['§13', `filled with zeros to ${PART_BYTES} bytes`],
    ['§13', `Port **${UDP_PORT}**`],
    ['§13', `group **${UDP_GROUP}**`],
    ['§13', `where it can choose: ${ONE_DATAGRAM_FRAME_BYTES} bytes`],
    ['§1', `scrypt, N = 2^${Math.log2(c.SCRYPT.N)}, r = ${c.SCRYPT.r}, p = ${c.SCRYPT.p}`],
    ['§2', `1 to ${c.TAG_MAX_BYTES} bytes of UTF-8`],
    ['§2', `realm: 0 to ${c.REALM_MAX_BYTES} bytes`],
    ['§2', `floor(unix seconds / ${c.EPOCH_SECONDS})`],
    ['§3', list(c.SEALED_SIZES)],
    ['§3', `a record is at most ${c.RECORD_MAX_BYTES} bytes`],
    ['§3', `end of the epoch + ${c.NOT_AFTER_GRACE_SECONDS}`],
    ['§3', `more than ${c.NOT_AFTER_MAX_AHEAD_SECONDS / c.EPOCH_SECONDS} days ahead`],
    ['§3', `≤ ${c.METADATA_MAX_BYTES} bytes encoded`],
    ['§3', `up to ${c.OWNERS_PER_ID} live owners an id`],
    ['§3', `at most ${c.PREKEYS_PER_INBOX} live at once in one inbox`],
    ['§3', `notAfter + ${c.QUEUE_TTL_SECONDS / 3600} h`],
    ['§4', `48 + ${list(c.HANDSHAKE_PAYLOAD_SIZES)}`],
    ['§4', `| ${c.MAC1_BYTES} | mac1 |`],
    ['§4', `bytes ≤ ${c.HELLO_MAX_BYTES} | hello`],
    ['§4', `per link ${LINK_RATE.burst} and ${LINK_RATE.perSecond}/s`],
    ['§4', `per publication ${PUBLICATION_RATE.burst} and ${PUBLICATION_RATE.perSecond}/s`],
    ['§5', `${grouped(c.RESPONSES_PER_PREKEY)} responses per prekey`],
    ['§5', `${c.UNCONFIRMED_MAX} unconfirmed per publication`],
    ['§5', `over ${c.UNCONFIRMED_MIN_AGE_SECONDS} s old`],
    ['§7', `due after ${grouped(c.GENERATION_FRAMES)} frames of g or ${c.GENERATION_SECONDS / 3600} hours`],
    ['§7', `A frame is at most ${grouped(c.LINK_MESSAGE_MAX_BYTES)} bytes`],
    ['§7', `The bucket is ${c.FRAME_BUCKET_BYTES} bytes`],
    ['§7', `the last ${c.REPLAY_RUNS} runs`],
    ['§7', `(its **mark**) ${c.MARK_POSITIONS}`],
    ['§7', `longer than ${c.MESSAGE_MAX_BYTES / 2 ** 20} MiB`],
    ['§7', `allows ${grouped(c.WINDOW_BYTES)} positions`],
    ['§7', `count u8 (≤ ${c.ACK_RANGES_MAX})`],
    ['§7', `keeps ${c.CLOSED_ANSWERS} frames that say CLOSED`],
    ['§7', `for ${c.CLOSED_ANSWER_SECONDS / 3600} hours answers any frame`],
    ['§8', `an id lasts ${2 ** c.EID_EXPONENT} s`],
    ['§8', `service UUID \`${c.SERVICE_UUID}\``],
    ['§9', `| \`${c.SERVICE_UUID}\` | primary |`],
    ['§9', `central to peripheral | \`${c.WRITE_UUID}\``],
    ['§9', `peripheral to central | \`${c.NOTIFY_UUID}\``],
    ['§9', `${c.GATT_PAYLOAD_BYTES} B at an MTU of ${c.GATT_PAYLOAD_BYTES + 3}`],
    ['§9.6', `${LINK_QUOTA.framesPerSecond} frames and ${LINK_QUOTA.bytesPerSecond / 1024} KiB a second`],
  ])('%s says: %s', (_section, text) => {
    expect(words).toContain(text);
  });
});
