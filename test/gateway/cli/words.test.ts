/** The small parts of the command: exit codes, tables, durations, operands, who speaks, tags from files. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkEnd, checkPipe } from '@rdv/gateway/cli/conversation-end';
import { talkNext } from '@rdv/gateway/cli/demo-speaker';
import { EXIT, EXIT_HELP, exitCodeFor } from '@rdv/gateway/cli/exit-codes';
import { duration, table } from '@rdv/gateway/cli/output';
import { operandAndNamespaces } from '@rdv/gateway/cli/shared';
import { readTag, withoutFinalLineEnd } from '@rdv/gateway/cli/tag-input';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

describe('exit codes', () => {
  it('are distinct, and in the help', () => {
    const codes = Object.values(EXIT);
    expect(new Set(codes).size).toBe(codes.length);
    for (const code of codes) expect(EXIT_HELP).toMatch(new RegExp(`(^|\\s)${code} `, 'm'));
  });

  it.each([
    ['invalid-tag', 2],
    ['config', 2],
    ['not-published', 3],
    ['refused', 4],
    ['timeout', 5],
    ['unreachable', 6],
    ['adapter', 6],
    ['store', 1],
    ['internal', 1],
  ] as const)('%s is %i', (code, expected) => expect(exitCodeFor(code)).toBe(expected));
});

describe('the end of a conversation', () => {
  const live = new AbortController().signal;
  it('is silent only when clean', () => {
    expect(() => checkEnd('finished', live)).not.toThrow();
    expect(() => checkEnd('peer-aborted', live)).toThrow(/other end/);
    expect(() => checkEnd('state-lost', live)).toThrow(expect.objectContaining({ code: 'state-lost' }));
    expect(() => checkEnd('aborted', AbortSignal.abort())).toThrow(expect.objectContaining({ code: 'canceled' }));
  });

  it('names the stream that broke it', () => {
    const failure = Object.assign(new Error('write EPIPE'), { code: 'EPIPE' });
    expect(() => checkPipe({ reason: 'aborted', failure }, live)).toThrow(/reads the standard output has left/);
    expect(() => checkPipe({ reason: 'aborted', failure: new Error('EISDIR') }, live)).toThrow(/stream failed: EISDIR/);
    expect(() => checkPipe({ reason: 'finished', failure: undefined }, live)).not.toThrow();
  });
});

describe('text for people', () => {
  it('stands in columns, without blanks at the end', () => {
    expect(
      table(
        ['A', 'LONG', 'C'],
        [
          ['aaa', 'b', ''],
          ['a', 'bb', 'c'],
        ],
      ),
    ).toBe('A    LONG  C\naaa  b\na    bb    c');
  });

  it.each([
    [4.4, '4 ms'],
    [999, '999 ms'],
    [1234, '1.2 s'],
    [119_000, '119.0 s'],
    [180_000, '3.0 min'],
  ])('%d ms is %s', (ms, text) => expect(duration(ms)).toBe(text));
});

describe('the tag behind --namespace', () => {
  const take = (operand: string | undefined, ...namespace: string[]): unknown => {
    const { argument, options } = operandAndNamespaces(operand, { realm: '', namespace });
    return [argument, options.namespace];
  };
  it.each([
    ['named first', take('tag', 'ble:'), ['tag', ['ble:']]],
    ['swallowed', take(undefined, 'mqtt://a', 'a tag'), ['a tag', ['mqtt://a']]],
    ['not there', take(undefined, 'mqtt://a', 'ble:'), [undefined, ['mqtt://a', 'ble:']]],
    ['one namespace alone is none', take(undefined, 'a tag'), [undefined, ['a tag']]],
    ['several of the environment', take('tag', 'mqtt://a ble:'), ['tag', ['mqtt://a', 'ble:']]],
  ])('%s', (_, got, expected) => expect(got).toEqual(expected));
});

describe('who speaks in the interactive demo', () => {
  it.each([
    ['k hello', 'r', 'k', 'hello'],
    ['r hello', 'k', 'r', 'hello'],
    ['hello', 'k', 'k', 'hello'],
    ['kind of', 'r', 'r', 'kind of'],
    ['k', 'r', 'k', ''],
  ] as const)('%j after %s', (line, last, speaker, text) => expect(talkNext(line, last)).toEqual({ speaker, text }));
});

describe('a tag from a file', () => {
  let directory = '';
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'rdv-tag-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));
  const read = async (content: string | Uint8Array): Promise<string> => {
    const file = join(directory, 'tag');
    writeFileSync(file, content);
    return (await readTag({ argument: undefined, file }, { realm: '' })).tag;
  };

  it('loses one final line end, and nothing else', async () => {
    expect(await read(' a b \n')).toBe(' a b ');
    expect(await read('a\r\n')).toBe('a');
    expect(withoutFinalLineEnd('a\n\n')).toBe('a\n');
    await expect(read('a\n\n')).rejects.toMatchObject({ code: 'invalid-tag' });
    expect(await read(`${'a'.repeat(8192)}\r\n`)).toHaveLength(8192);
  });

  it.each([
    ['nothing', ''],
    ['a line end alone', '\n'],
    ['bad UTF-8', Uint8Array.of(0x61, 0xff)],
    ['too much', 'a'.repeat(8195)],
    ['one byte too much', 'a'.repeat(8193)],
    ['a random tag with a mistake', 'rdv1-zj48n-0eg0x-p96v1-kdetn-h2412-xsff2'],
  ])('is refused when it is %s, without being shown', async (_, content) => {
    const error = (await read(content).catch((thrown: unknown) => thrown)) as { code: string; message: string };
    expect(error.code).toBe('invalid-tag');
    if (content.length > 2) expect(error.message).not.toContain(String(content).slice(0, 12));
  });
});
