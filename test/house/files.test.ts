// The house rules that a linter cannot see: what lies where, how long files are, who loads which vendor package.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '..', '..');
const packages = ['protocol', 'hardware', 'beacon', 'gateway'];
const NOT_SOURCE = new Set(['node_modules', 'dist', 'coverage', '.git', '.prepare.lock']);

function walk(directory: string): string[] {
  return readdirSync(join(root, directory), { withFileTypes: true }).flatMap((entry) => {
    if (NOT_SOURCE.has(entry.name)) return [];
    const path = join(directory, entry.name);
    return entry.isDirectory() ? walk(path) : [path];
  });
}

const files = walk('.');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const code = files.filter((path) => /\.(ts|mts|js|mjs|c|h|py|sh|html|css)$/.test(path) || path === '.ci/run');
const source = code.filter((path) => path.endsWith('.ts') && !path.startsWith('test'));
const manifest = (name: string) => JSON.parse(read(join(name, 'package.json')));

/** Lines that match, as `path:line: text`. The two files that plant or name such faults are left out. */
function grep(
  paths: string[],
  pattern: RegExp,
  excuse: (lines: string[], i: number) => boolean = () => false,
): string[] {
  return paths
    .filter((path) => !path.startsWith(join('test', 'house')))
    .flatMap((path) => {
      const lines = read(path).split('\n');
      return lines.flatMap((line, i) => (pattern.test(line) && !excuse(lines, i) ? [`${path}:${i + 1}: ${line}`] : []));
    });
}

describe('files', () => {
  it('the top level holds the packages, the tests and what npm needs', () => {
    const allowed = ['package.json', 'package-lock.json', 'tsconfig.json', 'README.md', 'LICENSE', 'test', ...packages];
    const there = readdirSync(root).filter((name) => !name.startsWith('.') && !NOT_SOURCE.has(name));
    expect(there.toSorted()).toEqual(allowed.toSorted());
  });

  it('none is longer than 400 lines', () => {
    const long = code.filter((path) => read(path).trimEnd().split('\n').length > 400);
    expect(long).toEqual([]);
  });

  it('each says at its top what it is', () => {
    expect(source.filter((path) => !/^(#!.*\n)?(\/\/|\/\*\*)/.test(read(path)))).toEqual([]);
  });

  it('has a kebab-case name', () => {
    expect(source.filter((path) => !/^([a-z0-9]+(-[a-z0-9]+)*\/)+[a-z0-9]+(-[a-z0-9]+)*\.ts$/.test(path))).toEqual([]);
  });

  it('none only passes on the exports of its neighbours', () => {
    const barrels = code.filter((path) => {
      const rest = read(path)
        .replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
        .replace(/export\s[^;]*?\sfrom\s*'\.[^']*';/g, '');
      return read(path).trim() !== '' && rest.trim() === '';
    });
    expect(barrels).toEqual([]);
    expect(source.filter((path) => /(^|\/)index\.ts$/.test(path))).toEqual([]);
  });

  it('a relative import stays inside its package', () => {
    const astray = source.flatMap((path) => {
      const own = path.split('/')[0];
      return [...read(path).matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)]
        .map(([, from = '']) => relative(root, join(root, dirname(path), from)))
        .filter((target) => target.split('/')[0] !== own)
        .map((target) => `${path} → ${target}`);
    });
    expect(astray).toEqual([]);
  });

  it('a check is switched off, or a test skipped, only with the reason beside it', () => {
    const off =
      /as any\b|@ts-(ignore|nocheck|expect-error)|biome-ignore|eslint-disable|\b(it|test|describe|context)\b.*\.(skip|only|todo)/;
    const explained = (lines: string[], i: number): boolean =>
      /biome-ignore [\w/]+: \w+|\.skip\('[^']+'\)|\.skipIf\([^)]/.test(lines[i] ?? '') ||
      (/@ts-expect-error \w+|skip/.test(lines[i] ?? '') && /^\s*(\/\/|\*)/.test(lines[i - 1] ?? ''));
    expect(grep(code, off, explained)).toEqual([]);
    expect(grep(code, /\.only\(|expect\(true\)\.toBe/)).toEqual([]);
  });

  it('no path of somebody’s machine', () => {
    const text = files.filter((path) => /\.(ts|mjs|js|json|md|yaml|yml|sh|c|h|service)$/.test(path));
    const machine = /(^|[\s'"`(=])(\/work\/|\/root\/|\/Users\/|\/tmp\/[a-z]+-[a-z]+)/;
    expect(grep(text, machine)).toEqual([]);
  });

  it('chance and time come in from outside', () => {
    expect(grep(source, /\bMath\.random\(/)).toEqual([]);
  });
});

describe('packages', () => {
  const all = ['.', ...packages].map((name) => ({ name, json: manifest(name) }));

  it('have no side effects, the same licence and the same oldest Node', () => {
    for (const { name, json } of all) {
      if (name !== '.') expect(json.sideEffects, name).toBe(false);
      expect(json.license, name).toBe('Apache-2.0');
      expect(json.type, name).toBe('module');
      expect(json.engines, name).toEqual({ node: '>=20.19.0' });
    }
  });

  it('pin every dependency exactly', () => {
    for (const { name, json } of all) {
      const versions = { ...json.dependencies, ...json.devDependencies, ...json.optionalDependencies };
      for (const [dependency, version] of Object.entries(versions))
        expect(version, `${name}: ${dependency}`).toMatch(/^\d+\.\d+\.\d+(-\d+)?$/);
    }
  });

  it('load each vendor package from one file, which says what it is for', () => {
    for (const name of packages) {
      const { dependencies, optionalDependencies } = manifest(name);
      for (const dependency of Object.keys({ ...dependencies, ...optionalDependencies })) {
        if (dependency.startsWith('@rdv/')) continue;
        // import, export, import(), and the ways a module reaches require(): createRequire(…)('x'), requireFresh(…, 'x').
        const ways = 'from|import|require|createRequire\\(.*\\)|requireFresh\\(.*,';
        const load = new RegExp(`(${ways})\\s*\\(?\\s*['"\`]${dependency}['"\`/]`);
        const loading = source.filter((path) => load.test(read(path)));
        expect(loading, `files that load ${dependency}`).toHaveLength(1);
        for (const path of loading) {
          expect(path.startsWith(`${name}/`), `${path} loads ${dependency}, which ${name} depends on`).toBe(true);
          const word = dependency.split('/')[dependency.startsWith('@noble/') ? 0 : 1] ?? dependency;
          const comments = read(path)
            .split('\n')
            .filter((line) => /^\s*(\/\/|\/?\*)/.test(line));
          expect(comments.join('\n'), `${path} says why ${dependency}`).toContain(word.replace('@', ''));
        }
      }
    }
  });

  it('export each file of theirs by its path, with its types, and say which are meant for whom', () => {
    for (const name of packages) {
      const { exports, '//exports': meant } = manifest(name);
      expect(exports, name).toEqual({ './*': { types: './dist/*.d.ts', default: './dist/*.js' } });
      for (const [subpath = ''] of meant.matchAll(/\b[a-z-]+\/([a-z-]+|\*)/g)) {
        const path = join(root, name, subpath.replace(/\/\*$/, ''));
        expect(existsSync(path) || existsSync(`${path}.ts`), `${name} names ${subpath}`).toBe(true);
      }
    }
  });
});
