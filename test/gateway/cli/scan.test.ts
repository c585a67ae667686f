/** `rdv scan` beside a stock Eddystone beacon, which counts from its own zero; a real process on the virtual air. */
import { Air } from '@rdv/hardware/air/air';
import { listenAir } from '@rdv/hardware/air/server';
import { systemClock } from '@rdv/hardware/host/system';
import { encodeEddystoneAdvert } from '@rdv/protocol/advert/eddystone';
import { toHex } from '@rdv/protocol/core/bytes';
import { TagSecret } from '@rdv/protocol/tag/derived';
import { eidAt } from '@rdv/protocol/tag/eid';
import { formatLink } from '@rdv/protocol/tag/link';
import { parseTag } from '@rdv/protocol/tag/tag';
import { expect, it } from 'vitest';
import { HciHost } from '../../hardware/air/hci-host.js';
import { Bench, freshTag } from './rdv-process.js';

it('recognises it by the offset in the link, and not without', { timeout: 120_000 }, async () => {
  const bench = new Bench();
  const air = new Air({ clock: systemClock });
  const server = await listenAir(air, { path: bench.path('air.sock') });
  try {
    const tag = freshTag();
    const { beaconKey } = await TagSecret.fromTag(parseTag(tag));
    // Switched on 5000 s ago, with a window of 2^6 s.
    const beacon = { offsetSeconds: 5000 - Math.floor(Date.now() / 1000), exponent: 6 };
    const eid = eidAt(beaconKey, Math.floor(Date.now() / 1000) + beacon.offsetSeconds, beacon.exponent);
    const host = new HciHost(air.controller());
    host.advertise({ type: 3, data: toHex(encodeEddystoneAdvert(eid, -20)) });
    const scan = (...tags: string[]): ReturnType<Bench['start']> =>
      bench.start([
        'scan',
        '--adapter',
        `virtual:${bench.path('air.sock')}`,
        '--state',
        bench.path('nobody'),
        '--json',
        '--seconds',
        '10',
        '--tag',
        ...tags,
      ]);
    const link = formatLink({ tag, realm: '', namespaces: [], beacon });
    const running = scan(tag, link);
    expect(JSON.parse(await running.says(/\{"event":"heard".*\}/))).toMatchObject({
      eid: toHex(eid),
      format: 'eddystone',
      tag: 1,
    });
    running.kill('SIGINT');
    const without = scan(tag);
    const heard = JSON.parse(await without.says(/\{"event":"heard".*\}/));
    expect(heard.eid).toBe(toHex(eid));
    expect(heard.tag).toBeUndefined();
    without.kill('SIGINT');
  } finally {
    await bench.close();
    await server.close();
  }
});
