import type { FileHandle } from 'node:fs/promises';
import { basename } from 'node:path';
import { CliError } from '../exit-code.js';
import { withVmlinuxOf } from './debian-package.js';
import { openFile, readAt } from './file-bytes.js';
import { BTF_BYTES_MAX, type KernelFile } from './types.js';
import { readVmlinux } from './vmlinux.js';

const ELF_MAGIC = '7f454c46';
const AR_MAGIC = Buffer.from('!<arch>\n').toString('hex');

/**
 * The types of a kernel, from its vmlinux, from the Debian package with its debug information, or from a file of BTF as
 * pahole and /sys/kernel/btf have it. `note` is told what takes long.
 * @throws CliError KERNEL_FILE, NO_BTF, TOOL_MISSING
 */
export async function readKernelFile(path: string, note: (line: string) => void): Promise<KernelFile> {
  const file = await openFile(path);
  try {
    const magic = (await readAt(file, 0, 8)).toString('hex');
    if (magic.startsWith(ELF_MAGIC)) return await readVmlinux(path, file, releaseIn(path), note);
    if (magic === AR_MAGIC) return await withVmlinuxOf(path, file, note, readExtracted);
    if (magic.startsWith('9feb') || magic.startsWith('eb9f')) return await readBare(path, file);
  } finally {
    await file.close();
  }
  throw new CliError(
    'KERNEL_FILE',
    `${path} is no vmlinux, no Debian package and no BTF: give one of them (a vmlinuz is packed and has no debug information)`,
  );
}

async function readExtracted(path: string, note: (line: string) => void): Promise<KernelFile> {
  const file = await openFile(path);
  try {
    return await readVmlinux(path, file, releaseIn(path), note);
  } finally {
    await file.close();
  }
}

async function readBare(path: string, file: FileHandle): Promise<KernelFile> {
  const { size } = await file.stat();
  if (size > BTF_BYTES_MAX) {
    throw new CliError('KERNEL_FILE', `${path} has ${size} bytes; a kernel's BTF has at most ${BTF_BYTES_MAX}`);
  }
  const btf = await readAt(file, 0, size);
  return { btf, buildId: undefined, release: undefined, arch: undefined, from: 'bare' };
}

/** Distributions name it so: vmlinux-6.1.0-50-armmp. */
function releaseIn(path: string): string | undefined {
  return /^vmlinux-(\d[\w.+~-]*)$/.exec(basename(path))?.[1];
}
