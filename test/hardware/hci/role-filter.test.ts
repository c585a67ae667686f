import { commandComplete, event, Opcode } from '@rdv/hardware/hci/packets';
import { emptyRoleState, filterByRole, noteSent, type Role, type RoleState } from '@rdv/hardware/hci/role-filter';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

const connected = (status: number, handle: number, role: number): Uint8Array =>
  event(0x3e, [1, status, handle, 0, role, 0, 6, 5, 4, 3, 2, 1, 24, 0, 0, 0, 42, 0, 0]);
const disconnected = (handle: number): Uint8Array => event(0x05, [0, handle, 0, 0x13]);

/** What each role sees of `packets`, as indices. */
function views(packets: readonly Uint8Array[]): Record<Role, number[]> {
  const seen: Record<Role, number[]> = { central: [], peripheral: [] };
  for (const role of ['central', 'peripheral'] as const) {
    let state: RoleState = emptyRoleState;
    packets.forEach((packet, i) => {
      const verdict = filterByRole(role, state, packet);
      state = verdict.state;
      if (verdict.visible) seen[role].push(i);
    });
  }
  return seen;
}

describe('role filter', () => {
  it('gives each role its own connections and what happens on them', () => {
    const packets = [
      connected(0, 1, 1),
      connected(0, 2, 0),
      connected(0x3e, 0, 1),
      Uint8Array.of(2, 1, 0x20, 4, 0, 0, 0, 4, 0),
      Uint8Array.of(2, 2, 0x20, 4, 0, 0, 0, 4, 0),
      event(0x13, [1, 2, 0, 1, 0]),
      event(0x13, [2, 1, 0, 1, 0, 2, 0, 1, 0]),
      event(0x3e, [3, 0, 1, 0, 24, 0, 0, 0, 42, 0]),
      event(0x3e, [2, 1, 0, 0, 6, 5, 4, 3, 2, 1, 0, 0xce]),
      disconnected(2),
      disconnected(2),
      disconnected(1),
    ];
    expect(views(packets)).toEqual({ central: [1, 2, 4, 5, 6, 8, 9], peripheral: [0, 3, 6, 7, 11] });
  });

  it('gives an answer to the one who asked, once', () => {
    const asked = noteSent(emptyRoleState, Uint8Array.of(1, 0x0a, 0x20, 1, 1));
    const answer = commandComplete(Opcode.leSetAdvertisingEnable, 0);
    expect(filterByRole('central', emptyRoleState, answer).visible).toBe(false);
    const first = filterByRole('peripheral', asked, answer);
    expect(first.visible).toBe(true);
    expect(filterByRole('peripheral', first.state, answer).visible).toBe(false);
    expect(filterByRole('central', emptyRoleState, commandComplete(0, 0)).visible).toBe(true);
  });

  it('takes any bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 })), (packets) => {
        expect(views(packets).central.length).toBeLessThanOrEqual(packets.length);
      }),
    );
  });
});
