import { readdirSync, readFileSync, statSync } from 'node:fs';
import { endianness } from 'node:os';
import { join } from 'node:path';
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

/**
 * The kernel's GNU build id, lower-case hexadecimal; undefined where it has none or does not show it. Notes are u32 sizes of
 * name and content, u32 type, then both, each padded to 4 bytes, in this machine's byte order (elf(5)).
 */
export function kernelBuildId(readNotes = () => readFileSync(notesPath)): string | undefined {
  let notes: Buffer;
  try {
    notes = readNotes().subarray(0, notesBytesMax);
  } catch {
    return undefined;
  }
  const u32 = (at: number) => (endianness() === 'LE' ? notes.readUInt32LE(at) : notes.readUInt32BE(at));
  const padded = (bytes: number) => Math.ceil(bytes / 4) * 4;
  for (let at = 0; at + 12 <= notes.length;) {
    const [nameBytes, contentBytes, type] = [u32(at), u32(at + 4), u32(at + 8)];
    const content = at + 12 + padded(nameBytes);
    if (content + contentBytes > notes.length) return undefined;
    const name = notes.toString('latin1', at + 12, at + 12 + nameBytes);
    if (type === 3 && name === 'GNU\0') return notes.toString('hex', content, content + contentBytes);
    at = content + padded(contentBytes);
  }
  return undefined;
}
