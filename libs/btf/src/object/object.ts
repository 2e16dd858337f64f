import type { ElfFile } from '../elf/elf.js';
import { EM_BPF, parseElf } from '../elf/elf.js';
import { BtfError } from '../error.js';
import { parseBtf } from '../types/parse.js';
import { parseBtfExt } from './btf-ext.js';
import { dataSectionsOf, globalsOf } from './globals.js';
import { CallGraph } from './call-graph.js';
import { buildCodeTable } from './code-table.js';
import { buildLineTable } from './line-table.js';
import { mapsOf } from './maps.js';
import { functionsOf } from './programs.js';
import type { BpfObjectFile } from './types.js';
import { validateTypes } from './validate.js';

/** Bytes that a licence may have, its NUL included; the kernel reads 128. */
const LICENSE_BYTES_MAX = 128;

/**
 * Reads a compiled BPF object: everything about it that needs no kernel. Any input is safe: what is wrong is refused.
 * @throws BtfError ELF_INVALID, BTF_MISSING, BTF_INVALID, BTF_NOT_FOUND, BTF_LIMIT, BTF_LAYOUT, OBJECT_INVALID
 */
export function readObject(bytes: Uint8Array): BpfObjectFile {
  const elf = parseElf(bytes);
  if (elf.machine !== EM_BPF) {
    throw new BtfError('OBJECT_INVALID', `ELF for machine ${elf.machine}, not for BPF: compile with -target bpf`);
  }
  const btfSection = elf.section('.BTF');
  if (btfSection === undefined) throw new BtfError('BTF_MISSING', 'the object has no BTF: compile it with -g');
  const btf = parseBtf(btfSection.data);
  validateTypes(btf);
  if (elf.section('maps') !== undefined) {
    throw new BtfError('OBJECT_INVALID', 'maps of section "maps" are libbpf 0.x: declare them in SEC(".maps")');
  }
  const extSection = elf.section('.BTF.ext');
  const ext =
    extSection === undefined
      ? { functions: [], lines: [], relocations: [] }
      : parseBtfExt(extSection.data, (offset) => btf.stringAt(offset));
  const functions = functionsOf(elf);
  const calls = new CallGraph(elf, functions);
  const dataSections = dataSectionsOf(elf);
  return {
    btf,
    littleEndian: elf.littleEndian,
    license: licenseOf(elf),
    programs: functions
      .filter((code) => code.isProgram)
      .map(({ name, section, offset, instructionCount }) => ({
        name,
        section: section.name,
        offset,
        instructionCount,
      })),
    maps: mapsOf(btf),
    dataSections,
    globals: globalsOf(elf, btf, dataSections),
    lines: buildLineTable(calls, functions, ext.lines),
    code: buildCodeTable(elf, calls, functions),
    coreRelocations: ext.relocations,
  };
}

function licenseOf(elf: ElfFile): string {
  const section = elf.section('license');
  if (section === undefined) return '';
  const end = section.data.indexOf(0);
  return new TextDecoder().decode(
    section.data.subarray(0, end < 0 ? LICENSE_BYTES_MAX : Math.min(end, LICENSE_BYTES_MAX)),
  );
}
