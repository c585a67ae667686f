/** Modules of the packages, bundled as for a browser into one script that defines `rdv`. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, type Rolldown } from 'vite';

const root = join(import.meta.dirname, '..', '..');

/** @param modules what is exported from it, as import specifiers */
export async function browserBundle(modules: readonly string[]): Promise<Rolldown.OutputChunk> {
  // Where the packages are found, and nobody looks for source.
  const directory = mkdtempSync(join(root, 'node_modules', '.rdv-browser-'));
  try {
    const entry = join(directory, 'entry.js');
    writeFileSync(entry, modules.map((path) => `export * from '${path}';`).join('\n'));
    const output = await build({
      configFile: false,
      logLevel: 'silent',
      root: directory,
      resolve: { conditions: ['browser', 'default'] },
      build: { write: false, minify: false, lib: { entry, formats: ['iife'], name: 'rdv', fileName: 'rdv' } },
    });
    const [bundle] = (Array.isArray(output) ? output : [output]) as Rolldown.RolldownOutput[];
    if (bundle?.output.length !== 1) throw new Error('expected one script');
    return bundle.output[0];
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
