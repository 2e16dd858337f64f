import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { moduleInfo } from '@bpfleet/btf';
import type { PinnedFile } from './catalogue.js';
import { runCommand, unpackDeb } from './command.js';
import { makeOnce } from './make-once.js';

/** What a VM boots with, taken out of a kernel package, or a kernel of somebody's own. */
export interface KernelFiles {
  readonly image: string;
  /** Absent where nobody gave it: a kernel image does not hold it. */
  readonly config: string | undefined;
  /** Full paths, decompressed, in an order in which each finds what it needs already loaded. */
  readonly modules: readonly string[];
}

/**
 * The devices of the VM and its file system, and what tests of network programs need. What a kernel has built in is left out.
 * crc32c is a soft dependency of ext4's checksums: without it the mount fails.
 */
const WANTED_MODULES = [
  ...['virtio_mmio', 'virtio_rng', 'virtio_console', 'virtio_blk', 'crc32c_generic', 'ext4', 'virtio_net'],
  ...['veth', 'dummy', 'sch_ingress', 'cls_bpf', 'act_bpf'],
];
/** Newer kernels have the checksum as a library of their own, built in, and no such module. */
const GONE_SINCE = new Set(['crc32c_generic']);
const LAYOUT_VERSION = 1;

interface Manifest {
  readonly modules: readonly string[];
}

/** A kernel that was made apart, as its owner gave it. */
export interface OwnKernel {
  readonly image: string;
  /** Files `<name>.ko`, unpacked, in an order in which each finds what it needs already loaded. Default: none. */
  readonly modules?: readonly string[];
  /** Its build configuration, for programs that ask it what was built in. */
  readonly config?: string;
}

/**
 * What the VM needs of devices and file systems is built in or among the modules, or it does not come up.
 * @throws RangeError for a module whose name is none: names become words of the initramfs' script
 */
export function ownKernel({ image, modules = [], config }: OwnKernel): KernelFiles {
  const wrong = modules.find((file) => !/^[A-Za-z0-9_]{1,64}\.ko$/.test(basename(file)));
  if (wrong !== undefined) throw new RangeError(`${basename(wrong)} is not the name of a kernel module`);
  return { image, config, modules };
}

/**
 * Unpacks the packages once for each set of modules; the cache is read-only afterwards.
 * @param kernel the package of the image first
 */
export async function kernelFiles(kernel: readonly PinnedFile[]): Promise<KernelFiles> {
  const key = createHash('sha256')
    .update(JSON.stringify([LAYOUT_VERSION, WANTED_MODULES]))
    .digest('hex')
    .slice(0, 16);
  const paths = kernel.map(({ path }) => path);
  const folder = join(dirname(paths[0] ?? ''), `unpacked-${key}`);
  await makeOnce(folder, (work) => unpack(paths, work));
  const manifest = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')) as Manifest;
  return {
    image: join(folder, 'vmlinuz'),
    config: join(folder, 'config'),
    modules: manifest.modules.map((name) => join(folder, 'modules', name)),
  };
}

async function unpack(debs: readonly string[], work: string): Promise<void> {
  const tree = join(work, 'tree');
  mkdirSync(tree);
  // Debian moved the modules from /lib to /usr/lib in trixie, and image and configuration beside them in forky.
  const patterns = debs.length === 1 ? ['./boot/*', '*/modules/*'] : ['*/modules/*'];
  const paths: string[] = [];
  for (const deb of debs) paths.push(...(await unpackDeb(deb, tree, ...patterns)));
  const named = (file: string) => paths.find((path) => path.startsWith(`./boot/${file}-`) || path.endsWith(`/${file}`));
  for (const file of ['vmlinuz', 'config']) {
    const path = named(file);
    if (path === undefined) throw new Error(`no ${file} of a kernel in ${debs.join(', ')}`);
    copyFileSync(join(tree, path), join(work, file));
  }
  mkdirSync(join(work, 'modules'));
  const modules = await copyModules(tree, paths, join(work, 'modules'));
  const manifest: Manifest = { modules };
  writeFileSync(join(work, 'manifest.json'), JSON.stringify(manifest));
  rmSync(tree, { recursive: true });
}

const nameOf = (path: string): string =>
  basename(path)
    .replace(/\.ko(\.xz|\.zst)?$/, '')
    .replaceAll('-', '_');

async function copyModules(tree: string, paths: readonly string[], target: string): Promise<string[]> {
  const byName = new Map(paths.filter((path) => /\.ko(\.xz)?$/.test(path)).map((path) => [nameOf(path), path]));
  const builtin = new Set(builtinModules(tree, paths));
  const order: string[] = [];
  const visiting = new Set<string>();
  const visit = async (name: string): Promise<void> => {
    if (visiting.has(name) || builtin.has(name)) return;
    visiting.add(name);
    const path = byName.get(name);
    if (path === undefined && GONE_SINCE.has(name)) return;
    if (path === undefined) throw new Error(`the kernel has no module ${name}, neither built in nor apart`);
    const file = join(target, `${name}.ko`);
    await copyModule(join(tree, path), file);
    for (const dependency of dependenciesOf(file)) await visit(dependency);
    order.push(`${name}.ko`);
  };
  for (const name of WANTED_MODULES) await visit(name);
  return order;
}

function builtinModules(tree: string, paths: readonly string[]): string[] {
  const list = paths.find((path) => path.endsWith('/modules.builtin'));
  if (list === undefined) return [];
  const lines = readFileSync(join(tree, list), 'utf8').split('\n');
  return lines.filter((line) => line !== '').map(nameOf);
}

async function copyModule(from: string, to: string): Promise<void> {
  if (!from.endsWith('.xz')) return copyFileSync(from, to);
  copyFileSync(from, `${to}.xz`);
  await runCommand('xz', '--decompress', `${to}.xz`);
}

function dependenciesOf(file: string): readonly string[] {
  const info = moduleInfo(readFileSync(file));
  if (info === undefined) throw new Error(`${file} is no kernel module: it has no .modinfo`);
  return info.depends;
}
