/** Who says a line typed in the interactive demo. */

export function talkNext(line: string, last: 'k' | 'r'): { readonly speaker: 'k' | 'r'; readonly text: string } {
  const named = /^([kr])(?: (.*))?$/.exec(line);
  if (!named) return { speaker: last, text: line };
  return { speaker: named[1] === 'k' ? 'k' : 'r', text: named[2] ?? '' };
}
