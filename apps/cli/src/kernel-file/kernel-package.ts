import { BtfError, moduleInfo } from '@bpfleet/btf';
import { LAB_CONFIG_BYTES_MAX, LAB_IMAGE_BYTES_MAX, LAB_MODULE_BYTES_MAX, LAB_MODULES_MAX } from '@bpfleet/api';
import { CliError } from '../exit-code.js';
import { packageFiles } from './debian-package.js';
import { openFile } from './file-bytes.js';
import { unpackBytes } from './packed-bytes.js';
import type { TarEntry } from './tar.js';

/** What a VM of the lab needs of a kernel package. */
export interface KernelPackage {
  /** As `uname -r` will say. */
  readonly release: string;
  readonly image: Uint8Array;
  readonly config: Uint8Array | undefined;
  /** Unpacked, in an order in which each finds what it needs already loaded. */
  readonly modules: readonly { readonly name: string; readonly bytes: Uint8Array }[];
}

/**
 * The devices of the lab's VM and its file system (libs/vm qemu.ts), each built in or as a module; the network and the source of
 * random numbers it can do without. crc32c is what ext4 asks for by name at its mount, so nothing depends on the module.
 */
const NEEDED = ['virtio_mmio', 'virtio_console', 'virtio_blk', 'ext4'];
const WELCOME = ['virtio_rng', 'crc32c_generic', 'virtio_net'];
/** In the order of loading: what is named later needs, or is mounted by, what comes before. */
const ORDER = ['virtio_mmio', 'virtio_rng', 'virtio_console', 'virtio_blk', 'crc32c_generic', 'ext4', 'virtio_net'];

// Debian's forky has image and configuration beside the modules.
const IMAGE = /^(?:\.\/)?(?:boot\/vmlinuz-([^/]+)|(?:usr\/)?lib\/modules\/([^/]+)\/vmlinuz)$/;
const CONFIG = /^(?:\.\/)?(?:boot\/config-[^/]+|(?:usr\/)?lib\/modules\/[^/]+\/config)$/;
const BUILTIN = /^(?:\.\/)?(?:usr\/)?lib\/modules\/[^/]+\/modules\.builtin$/;
// Kernels are packed by their makers in four ways; Debian moved the modules to /usr in trixie.
const MODULE = /^(?:\.\/)?(?:usr\/)?lib\/modules\/[^/]+\/.*?([^/]+)\.ko(|\.gz|\.xz|\.zst)$/;
const BUILTIN_BYTES_MAX = 1024 * 1024;
/** Each pass over the package may find modules that need others; the VM's lie at most so deep. */
const PASSES_MAX = 6;

/** What was found so far. */
interface Found {
  release?: string;
  image?: Buffer;
  config?: Buffer;
  builtin?: ReadonlySet<string>;
  readonly modules: Map<string, Buffer>;
}

/**
 * The kernel of a Debian package, or of the several that forky and Ubuntu make of one, with those of its modules that the lab's VM is made of. A package is read as it is
 * unpacked, some hundred MB of which a few are kept; nothing is written.
 * @throws CliError KERNEL_FILE, TOOL_MISSING
 */
export async function readKernelPackage(
  paths: readonly string[],
  note: (line: string) => void,
): Promise<KernelPackage> {
  const found: Found = { modules: new Map() };
  const path = paths.join(', ');
  note(`looking for the kernel and its modules in ${path} …`);
  let wanted = new Set([...NEEDED, ...WELCOME]);
  for (let pass = 0; pass < PASSES_MAX && wanted.size > 0; pass += 1) {
    for (const one of paths) await readOnce(one, wanted, found);
    wanted = lacking(path, found, wanted);
  }
  const { release, image } = found;
  if (release === undefined || image === undefined) {
    throw new CliError('KERNEL_FILE', `${path} holds no kernel (boot/vmlinuz-…): give a package such as linux-image-…`);
  }
  return { release, image, config: found.config, modules: inOrder(path, found) };
}

async function readOnce(path: string, wanted: ReadonlySet<string>, found: Found): Promise<void> {
  const file = await openFile(path);
  try {
    for await (const entry of packageFiles(path, file)) await take(path, entry, wanted, found);
  } finally {
    await file.close();
  }
}

async function take(path: string, entry: TarEntry, wanted: ReadonlySet<string>, found: Found): Promise<void> {
  const [, module, packing] = MODULE.exec(entry.name) ?? [];
  if (module !== undefined) {
    const name = spelled(module);
    if (!wanted.has(name) || found.modules.has(name)) return;
    const packed = await contentOf(path, entry, LAB_MODULE_BYTES_MAX);
    found.modules.set(name, await unpackBytes(packed, packing ?? '', LAB_MODULE_BYTES_MAX, entry.name));
    return;
  }
  const [, inBoot, besideModules] = IMAGE.exec(entry.name) ?? [];
  const release = inBoot ?? besideModules;
  if (release !== undefined && found.image === undefined) {
    found.release = release;
    found.image = await contentOf(path, entry, LAB_IMAGE_BYTES_MAX);
  } else if (CONFIG.test(entry.name)) found.config ??= await contentOf(path, entry, LAB_CONFIG_BYTES_MAX);
  else if (BUILTIN.test(entry.name) && found.builtin === undefined) {
    const lines = (await contentOf(path, entry, BUILTIN_BYTES_MAX)).toString('latin1').split('\n');
    found.builtin = new Set(lines.map((line) => spelled(line.replace(/^.*\//, '').replace(/\.ko$/, ''))));
  }
}

async function contentOf(path: string, { name, bytes, content }: TarEntry, bytesMax: number): Promise<Buffer> {
  if (bytes > bytesMax) {
    throw new CliError('KERNEL_FILE', `${name} in ${path} has ${bytes} bytes; the lab takes at most ${bytesMax}`);
  }
  const parts: Buffer[] = [];
  for await (const part of content()) parts.push(part);
  return Buffer.concat(parts);
}

/** What those that were found need and nobody has yet. What was looked for in vain is not looked for again. */
function lacking(path: string, { modules, builtin }: Found, looked: ReadonlySet<string>): Set<string> {
  const named = [...modules].flatMap(([name, bytes]) => dependenciesOf(path, name, bytes));
  return new Set(named.filter((name) => !modules.has(name) && !builtin?.has(name) && !looked.has(name)));
}

function dependenciesOf(path: string, name: string, bytes: Uint8Array): readonly string[] {
  try {
    const info = moduleInfo(bytes);
    if (info !== undefined) return info.depends;
  } catch (error) {
    if (!(error instanceof BtfError)) throw error;
  }
  throw new CliError('KERNEL_FILE', `${name} in ${path} is no kernel module, or a damaged one`);
}

/** Depth first, so that each comes after what it needs. What the VM can do without is left out when something it needs is not there. */
function inOrder(path: string, { modules, builtin }: Found): KernelPackage['modules'] {
  const order = new Map<string, Uint8Array>();
  /** The first that is not there of what it takes to load this one. */
  const place = (name: string, above: readonly string[]): string | undefined => {
    const bytes = modules.get(name);
    if (builtin?.has(name) || order.has(name) || above.includes(name)) return undefined;
    if (bytes === undefined) return name;
    for (const needed of dependenciesOf(path, name, bytes)) {
      const missing = place(needed, [...above, name]);
      if (missing !== undefined) return missing;
    }
    order.set(name, bytes);
    return undefined;
  };
  for (const name of ORDER) {
    const missing = place(name, []);
    if (missing !== undefined && NEEDED.includes(name)) throw lacks(path, [missing]);
  }
  if (order.size > LAB_MODULES_MAX) {
    throw new CliError('KERNEL_FILE', `${path} needs ${order.size} modules for a VM; the lab takes ${LAB_MODULES_MAX}`);
  }
  return [...order].map(([name, bytes]) => ({ name, bytes }));
}

function lacks(path: string, names: readonly string[]): CliError {
  const why = 'neither built in nor as a module, and without it the kernel cannot run in a VM';
  const what =
    'give the package that holds its modules (linux-modules-…) as well, or build one with docs/lab-kernel.config';
  return new CliError('KERNEL_FILE', `${path} has no ${names.join(', ')}, ${why}: ${what}`);
}

/** File names have what their makers chose; the kernel calls a module by underscores. */
function spelled(name: string): string {
  return name.replaceAll('-', '_');
}
