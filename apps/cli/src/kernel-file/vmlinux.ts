import type { FileHandle } from 'node:fs/promises';
import { BtfError, gnuBuildId, readElfTable, type ElfSectionPlace, type ElfTable } from '@bpfleet/btf';
import { readSync } from 'node:fs';
import { CliError } from '../exit-code.js';
import { readAt } from './file-bytes.js';
import { encodeFromDwarf } from './pahole.js';
import { BTF_BYTES_MAX, type KernelArch, type KernelFile } from './types.js';

const SECTION_NOTE = 7;
const SECTION_NOBITS = 8;
const NOTE_BYTES_MAX = 64 * 1024;
const RODATA_BYTES_MAX = 64 * 1024 * 1024;
const BANNER = Buffer.from('Linux version ');
/** e_machine of the architectures that agents run on. */
const ARCHES: Readonly<Record<number, KernelArch>> = { 62: 'x86_64', 183: 'arm64', 40: 'arm' };

/** @throws CliError KERNEL_FILE, NO_BTF, TOOL_MISSING */
export async function readVmlinux(
  path: string,
  file: FileHandle,
  nameSays: string | undefined,
  note: (line: string) => void,
): Promise<KernelFile> {
  const table = elfTable(path, file);
  const arch = ARCHES[table.machine];
  if (!arch) throw new CliError('KERNEL_FILE', `${path} is for another architecture than x86-64, ARM64 and ARM`);
  const buildId = await buildIdOf(file, table);
  const release = nameSays ?? (await releaseOf(file, table));
  const section = inFile(table, '.BTF');
  if (section) return { btf: await bytesOf(path, file, section), buildId, release, arch, from: 'section' };
  if (!inFile(table, '.debug_info') && !inFile(table, '.zdebug_info')) {
    throw new CliError(
      'NO_BTF',
      `${path} has neither BTF nor debug information: give the vmlinux of the kernel's debug package, before it was stripped`,
    );
  }
  return { btf: await encodeFromDwarf(path, note), buildId, release, arch, from: 'dwarf' };
}

function elfTable(path: string, file: FileHandle): ElfTable {
  try {
    return readElfTable((offset, length) => {
      const bytes = Buffer.alloc(Math.min(length, RODATA_BYTES_MAX));
      return bytes.subarray(0, Number.isSafeInteger(offset) ? readSync(file.fd, bytes, 0, bytes.length, offset) : 0);
    });
  } catch (error) {
    if (!(error instanceof BtfError)) throw error;
    throw new CliError('KERNEL_FILE', `${path} is damaged: ${error.message}`);
  }
}

function inFile(table: ElfTable, name: string): ElfSectionPlace | undefined {
  return table.sections.find(
    (section) => section.name === name && section.type !== SECTION_NOBITS && section.bytes > 0,
  );
}

async function bytesOf(path: string, file: FileHandle, { offset, bytes }: ElfSectionPlace): Promise<Buffer> {
  if (bytes > BTF_BYTES_MAX) {
    throw new CliError('KERNEL_FILE', `${path} has ${bytes} bytes of BTF; a kernel's has at most ${BTF_BYTES_MAX}`);
  }
  const read = await readAt(file, offset, bytes);
  if (read.length === bytes) return read;
  throw new CliError('KERNEL_FILE', `${path} is damaged: its BTF would reach past the end of the file`);
}

async function buildIdOf(file: FileHandle, table: ElfTable): Promise<string | undefined> {
  for (const { type, offset, bytes } of table.sections) {
    if (type !== SECTION_NOTE || bytes > NOTE_BYTES_MAX) continue;
    const found = gnuBuildId(await readAt(file, offset, bytes), table.littleEndian);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** What `uname -r` will say: the kernel's banner lies among its constants. */
async function releaseOf(file: FileHandle, table: ElfTable): Promise<string | undefined> {
  const section = inFile(table, '.rodata');
  if (!section) return undefined;
  const rodata = await readAt(file, section.offset, Math.min(section.bytes, RODATA_BYTES_MAX));
  for (let at = rodata.indexOf(BANNER); at >= 0; at = rodata.indexOf(BANNER, at + 1)) {
    const text = rodata.toString('latin1', at + BANNER.length, at + BANNER.length + 128);
    const release = /^(\d[\w.+~-]*) /.exec(text)?.[1];
    if (release !== undefined) return release;
  }
  return undefined;
}
