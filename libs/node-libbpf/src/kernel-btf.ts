import { readdirSync, readFileSync, statSync } from 'node:fs';
import { endianness } from 'node:os';
import { join } from 'node:path';
import { gnuBuildId } from '@bpfleet/btf';
import { requireText } from './arguments.js';
import { argumentError, LibbpfError } from './errors.js';
import { native } from './native.js';
import { openHandleById } from './open-by-id.js';

const btfFolder = '/sys/kernel/btf';
const notesPath = '/sys/kernel/notes';
const notesBytesMax = 1 << 20;

export interface KernelBtfFile {
  /** `vmlinux`, or the name of a module. */
  name: string;
  bytes: number;
}

function fileError(operation: string, error: unknown): LibbpfError {
  const cause = error as NodeJS.ErrnoException;
  return new LibbpfError(
    'BPF_ENUMERATE',
    operation,
    Math.abs(cause.errno ?? 0),
    cause.code === undefined ? cause.message : '',
  );
}

/**
 * What /sys/kernel/btf has: the kernel's own types (≥ 5.4 with CONFIG_DEBUG_INFO_BTF) and those of the loaded modules
 * (≥ 5.11 with CONFIG_DEBUG_INFO_BTF_MODULES), which are split: they go on where vmlinux ends. Empty where the kernel has none.
 */
export function listKernelBtf(): KernelBtfFile[] {
  let names: string[];
  try {
    names = readdirSync(btfFolder).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw fileError('list kernel BTF', error);
  }
  return names.flatMap((name) => {
    // A module that is unloaded meanwhile is no error.
    const stat = statSync(join(btfFolder, name), { throwIfNoEntry: false });
    return stat === undefined ? [] : [{ name, bytes: stat.size }];
  });
}

/** The types of the kernel or of one module, as /sys/kernel/btf has them. Throws BPF_ENUMERATE, with ENOENT where there are none. */
export function readKernelBtf(name = 'vmlinux'): Buffer {
  const operation = `read kernel BTF ${name}`;
  requireText(operation, 'name', name);
  if (name.includes('/') || name.startsWith('.')) throw argumentError(operation, 'expected the name of a module');
  try {
    return readFileSync(join(btfFolder, name));
  } catch (error) {
    throw fileError(operation, error);
  }
}

/** Any BTF of the system by its id (≥ 4.18; needs CAP_SYS_ADMIN); undefined when it is gone. Modules' are split, as in listKernelBtf. */
export function readBtf(id: number): Buffer | undefined {
  return openHandleById(`read BTF ${id}`, id, () => native.readBtf(id));
}

/** The kernel's GNU build id, lower-case hexadecimal; undefined where it has none or does not show it. */
export function kernelBuildId(readNotes = () => readFileSync(notesPath)): string | undefined {
  try {
    return gnuBuildId(readNotes().subarray(0, notesBytesMax), endianness() === 'LE');
  } catch {
    return undefined;
  }
}
