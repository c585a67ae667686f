/** What the emulated machine boots: Debian's own kernel, and a first file system of busybox and the modules it needs. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { behind, cacheFolder, unpacked } from '../../support/debian-packages.js';

/** In this order, each after what it depends on. Without drbg and its hashes the kernel's Bluetooth self-test fails. */
const MODULES = [
  ...['virtio_pci', 'virtio-rng', 'virtio_console', 'virtio_net', '9pnet_virtio', '9p', 'overlay'],
  ...['sha512_generic', 'ctr', 'drbg', 'cmac', 'ecb', 'algif_hash', 'algif_skcipher', 'bluetooth', 'hci_vhci', 'uhid'],
];

export interface Image {
  /** ELF: booted by PVH, which spares the emulated processor the unpacking. */
  readonly kernel: string;
  readonly initrd: string;
  readonly version: string;
}

export function makeImage(initScript: string): Image {
  const name = behind('linux-image-amd64', /Depends: (linux-image-[\d.]+\S*-amd64)$/m);
  const tree = unpacked(name);
  const version = name.slice('linux-image-'.length);
  const folder = cacheFolder('images');
  const kernel = join(folder, `vmlinux-${basename(tree)}`);
  if (!existsSync(kernel)) writeFileSync(kernel, unpackKernel(join(tree, 'boot', `vmlinuz-${version}`)));
  const initrd = join(folder, `initrd-${basename(tree)}`);
  writeFileSync(initrd, makeInitrd(join(tree, 'lib', 'modules', version), initScript));
  return { kernel, initrd, version };
}

/** The ELF inside a bzImage (Documentation/x86/boot.rst: setup_sects, payload_offset, payload_length). */
function unpackKernel(file: string): Uint8Array {
  const image = readFileSync(file);
  const at = (image[0x1f1]! + 1) * 512 + image.readUInt32LE(0x248);
  // The last 4 bytes are the size.
  const payload = image.subarray(at, at + image.readUInt32LE(0x24c) - 4);
  return execFileSync('xz', ['-dc', '--single-stream'], { input: payload, maxBuffer: 256 * 1024 * 1024 });
}

/** The modules' files, each after those it depends on (`depends=` in its own description). */
function moduleFiles(tree: string): string[] {
  const files = new Map<string, string>();
  for (const entry of readdirSync(tree, { recursive: true, encoding: 'utf8' })) {
    if (entry.endsWith('.ko')) files.set(plain(basename(entry, '.ko')), join(tree, entry));
  }
  const ordered: string[] = [];
  const add = (name: string): void => {
    const file = files.get(plain(name));
    // Built into the kernel.
    if (file === undefined || ordered.includes(file)) return;
    const [, depends = ''] = /\0depends=([^\0]*)\0/.exec(readFileSync(file, 'latin1')) ?? [];
    for (const needed of depends.split(',').filter((text) => text !== '')) add(needed);
    ordered.push(file);
  };
  for (const name of MODULES) add(name);
  return ordered;
}

const plain = (name: string): string => name.replaceAll('-', '_');

function makeInitrd(modules: string, initScript: string): Uint8Array {
  const busybox = readFileSync(join(unpacked('busybox-static'), 'bin', 'busybox'));
  const files = moduleFiles(modules);
  const entries: (readonly [string, number, Uint8Array])[] = [
    ...['bin', 'modules', 'dev', 'proc', 'sys'].map((name) => [name, 0o040755, new Uint8Array()] as const),
    ['bin/busybox', 0o100755, busybox],
    ['init', 0o100755, readFileSync(initScript)],
    ['modules/order', 0o100644, Buffer.from(files.map((file) => `${basename(file)}\n`).join(''))],
    ...files.map((file) => [`modules/${basename(file)}`, 0o100644, readFileSync(file)] as const),
  ];
  return gzipSync(Buffer.concat([...entries, ['TRAILER!!!', 0, new Uint8Array()] as const].map(cpioEntry)), {
    level: 1,
  });
}

/** One file of a cpio archive in the "newc" format (cpio(5)). */
function cpioEntry([name, mode, content]: readonly [string, number, Uint8Array], index: number): Buffer {
  const fields = [index + 1, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length + 1, 0];
  const header = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}${name}\0`;
  const aligned = (bytes: Uint8Array): Buffer => Buffer.concat([bytes, new Uint8Array(-bytes.length & 3)]);
  return Buffer.concat([aligned(Buffer.from(header)), aligned(content)]);
}

/** Compiles one C file. @returns the program */
export function compile(source: string, program: string): string {
  const done = spawnSync('gcc', ['-O2', '-Wall', '-Wextra', '-Werror', '-o', program, source], { encoding: 'utf8' });
  if (done.status !== 0) throw new Error(`${source} does not compile: ${done.stderr}`);
  return program;
}

/** `rdv setup radio`, as the README tells people to, unless it was done. @throws Error with what it said */
export function buildRadio(root: string): void {
  const addon = ['-e', "require('@abandonware/bluetooth-hci-socket/lib/native')"];
  if (spawnSync(process.execPath, addon, { cwd: root }).status === 0) return;
  const done = spawnSync(process.execPath, ['gateway/bin/rdv.js', 'setup', 'radio', '-v'], {
    cwd: root,
    encoding: 'utf8',
  });
  if (done.status !== 0) throw new Error(`rdv setup radio: ${done.stderr.slice(-3000)}`);
}
