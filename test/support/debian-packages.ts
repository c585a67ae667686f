/** Debian packages that are fetched and unpacked beside the system, not installed: kernels, BlueZ. Kept from run to run. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

const CACHE = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'rdv-test');

/** A folder that outlives the run, for what can be made again. */
export function cacheFolder(name: string): string {
  const folder = join(CACHE, name);
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** The version that `apt-get` would install. @throws Error when there is none */
export function candidate(name: string): string {
  const policy = execFileSync('apt-cache', ['policy', name], { encoding: 'utf8' });
  const version = /Candidate: (\S+)/.exec(policy)?.[1];
  if (version === undefined || version === '(none)') throw new Error(`${name}: run "apt-get update" first`);
  return version;
}

/** The package of which `name` is the current one: what `linux-image-amd64` depends on, say. */
export function behind(name: string, pattern: RegExp): string {
  const depends = execFileSync('apt-cache', ['depends', name], { encoding: 'utf8' });
  const found = pattern.exec(depends)?.[1];
  if (found === undefined) throw new Error(`${name} depends on nothing like ${pattern}`);
  return found;
}

/** Asked once per process: apt takes a second or more for each answer. */
const folders = new Map<string, string>();

/** @returns the folder that holds the unpacked package, fetched if it is not there in this version */
export function unpacked(name: string): string {
  const known = folders.get(name) ?? fetched(name);
  folders.set(name, known);
  return known;
}

function fetched(name: string): string {
  const version = candidate(name);
  const folder = join(cacheFolder('packages'), `${name}_${version.replaceAll(/[^\w.+~-]/g, '_')}`);
  if (existsSync(folder)) return folder;
  const work = mkdtempSync(join(cacheFolder('packages'), 'fetching-'));
  try {
    execFileSync('apt-get', ['-qq', 'download', `${name}=${version}`], { cwd: work, stdio: 'pipe', timeout: 300_000 });
    const deb = readdirSync(work).find((file) => file.endsWith('.deb'))!;
    execFileSync('dpkg-deb', ['-x', deb, 'tree'], { cwd: work, stdio: 'pipe' });
    renameSync(join(work, 'tree'), folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return folder;
}
