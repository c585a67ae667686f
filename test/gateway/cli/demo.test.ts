/** What `npm start` shows, played whole by real processes on the virtual air. */
import { expect, it } from 'vitest';
import { Bench } from './rdv-process.js';

it('shows the main job and ends with 0 because every step happened', { timeout: 120_000 }, async () => {
  const bench = new Bench();
  try {
    const demo = await bench.run(['demo', '--json', '--pace', '0']);
    expect(demo.err).not.toContain('"error"');
    expect(demo.code).toBe(0);
    const steps = demo.values.map(({ step }) => step);
    const order = ['air', 'broker', 'gateway', 'kiosk', 'open', 'talk', 'end', 'single', 'times'];
    expect([...new Set(steps)].filter((step) => order.includes(String(step)))).toEqual(order);
    const said = demo.values.map(({ text }) => String(text)).join('\n');
    expect(said).toContain('kiosk: Open 8 to 20, every day.');
    expect(said).toContain('kiosk: The blue door, round the corner.');
    const last = demo.values.at(-1) as { times: Record<string, number>; view: { links: string[]; frames: number } };
    expect(last.view.links).toEqual([]);
    expect(last.view.frames).toBeGreaterThan(4);
    for (const ms of Object.values(last.times)) expect(ms).toBeGreaterThan(0);
  } finally {
    await bench.close();
  }
});
