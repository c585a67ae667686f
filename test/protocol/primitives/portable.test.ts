// The protocol runs in a browser: followed from every public module, under the package's default conditions, no import leads
// to a module of Node.
import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../../protocol/', import.meta.url));
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  imports: Record<string, { default: { default: string } }>;
};

function importsOf(file: string): string[] {
  const source = readFileSync(file, 'utf8').replace(/\/\*[\s\S]*?\*\//g, '');
  return Array.from(source.matchAll(/(?:\bfrom\s*|\bimport\s*\(?\s*)['"]([^'"]+)['"]/g), (match) => match[1]!);
}

function follow(file: string, seen: Map<string, string[]>): void {
  if (seen.has(file)) return;
  const specifiers = importsOf(file);
  seen.set(file, specifiers);
  for (const specifier of specifiers) {
    if (specifier.startsWith('.')) follow(join(dirname(file), specifier), seen);
    else if (specifier.startsWith('#')) follow(join(root, manifest.imports[specifier]!.default.default), seen);
  }
}

it('reaches no module of Node', () => {
  const files = readdirSync(join(root, 'dist'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.js') && !file.endsWith('-node.js'))
    .map((file) => join(root, 'dist', file));
  const seen = new Map<string, string[]>();
  for (const file of files) follow(file, seen);
  expect(seen.size).toBeGreaterThan(20);
  expect([...seen.keys()].some((file) => file.endsWith('primitives-noble.js'))).toBe(true);
  for (const [file, specifiers] of seen) {
    const foreign = specifiers.filter((one) => one.startsWith('node:') || builtinModules.includes(one));
    expect(foreign, file).toEqual([]);
  }
});
