import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { qrText, writeQr } from '@rdv/gateway/cli/qr-code';
import { readTag } from '@rdv/gateway/cli/tag-input';
import { parseTag } from '@rdv/protocol/tag/tag';
import { afterAll, describe, expect, it } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'rdv-link-'));
afterAll(() => rmSync(folder, { recursive: true }));

const read = (argument: string, options: { realm: string; namespace?: readonly string[] } = { realm: '' }) =>
  readTag({ argument, file: undefined }, options);

describe('a link in place of a tag', () => {
  const link = 'rdv:caf%C3%A9?n=mqtt%3A%2F%2Fbroker.example&r=museum';

  it('brings its realm and its namespaces', async () => {
    expect(await read(link)).toEqual({
      tag: 'café',
      options: { realm: 'museum', namespace: ['mqtt://broker.example'] },
    });
  });

  it('counts less than what was said', async () => {
    const said = { realm: 'zoo', namespace: ['ble:'] };
    expect(await read(link, said)).toEqual({ tag: 'café', options: said });
  });

  it('is an error when what it holds is no tag, or it is damaged', async () => {
    for (const text of ['rdv:rdv1-abc', 'rdv:%', 'rdv://x']) {
      await expect(read(text)).rejects.toMatchObject({ code: 'invalid-tag' });
    }
  });

  it('is never taken for a text tag', () => {
    expect(() => parseTag(link)).toThrow(expect.objectContaining({ code: 'invalid-tag' }));
    expect(() => parseTag('RDV:x')).toThrow(expect.objectContaining({ code: 'invalid-tag' }));
  });
});

describe('QR codes', () => {
  it('are square, with a light margin, and in plain characters where there are no colours', async () => {
    const lines = (await qrText('RDV:X', false)).split('\n').filter((line) => line !== '');
    // The smallest code has 21 modules, and 4 around it on each side; two rows in a line.
    expect(lines.map((line) => line.length)).toEqual(Array.from({ length: 15 }, () => 29));
    expect(lines.join('')).toMatch(/^[ ▀▄█]+$/u);
    expect(await qrText('RDV:X', true)).toContain('\u001b[');
  });

  it('are files of their owner', async () => {
    const png = join(folder, 'tag.png');
    await writeQr('RDV:X', 'png', png);
    expect(readFileSync(png).subarray(1, 4).toString()).toBe('PNG');
    expect(statSync(png).mode & 0o077).toBe(0);
    const svg = join(folder, 'tag.svg');
    await writeQr('RDV:X', 'svg', svg);
    expect(readFileSync(svg, 'utf8')).toContain('<svg');
  });

  it('have an end', async () => {
    await expect(qrText('x'.repeat(3000), false)).rejects.toMatchObject({ code: 'invalid-argument' });
    await expect(writeQr('x', 'png', join(folder, 'none', 'x'))).rejects.toMatchObject({ code: 'config' });
  });
});
