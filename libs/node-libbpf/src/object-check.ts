import { readFileSync } from 'node:fs';
import type { ElfFile, ElfSection } from '@bpfleet/btf';
import { BtfError, EM_BPF, parseBtf, parseBtfExt, parseElf } from '@bpfleet/btf';
import { LibbpfError } from './errors.js';
import { checkSlots } from './slots-check.js';
import { checkFollowed, checkTypes } from './types-check.js';

// libbpf trusts what a compiler wrote. Each rule here stands for an object on which it read or wrote past its memory, or
// never came to an end: fuzz/ made them, object-check.test.ts keeps one of each.

const elfMagic = 0x7f454c46;
const elfClass64 = 2;
const sectionHeaderBytes = 64;
const instructionBytes = 8;
const sectionType = { progbits: 1, nobits: 8 } as const;
const executable = 4;
const symbolFunction = 2;
/** From here on a section index has another meaning: absolute, common, see section 0. */
const sectionIndexSpecial = 0xff00;
/** `BPF_LD | BPF_IMM | BPF_DW`, the one instruction of two slots. */
const opcodeLoad64 = 0x18;
const accessIndexMax = 0x7fff_ffff;
/** The kernel takes no array value of 2 GiB, and nobody wants to wait until 1 GiB of zeros is copied. */
const globalDataBytesMax = 256 << 20;
/** Whoever finds two of them may look at the first or the last. */
const sectionsOfOne = ['.BTF', '.BTF.ext', '.maps'];

/**
 * Refuses an object that libbpf cannot be trusted with. What a compiler or linker made passes; whether the kernel would take
 * it is not asked.
 * @throws LibbpfError BPF_OPEN, which says what is wrong in a sentence
 */
export function checkObject(bytes: Buffer): void {
  try {
    // Before its parts are looked at, what it is.
    if (bytes.length < 64 || bytes.readUInt32BE(0) !== elfMagic) refuse('not an ELF file');
    const elf = parseElf(bytes);
    if (bytes[4] !== elfClass64 || elf.machine !== EM_BPF)
      refuse(`an ELF file, but not for BPF (machine ${elf.machine})`);
    checkTables(bytes, elf);
    for (const section of elf.sections) checkSection(section);
    checkSymbols(elf);
    checkBtf(elf);
  } catch (error) {
    if (error instanceof BtfError) refuse(error.message);
    throw error;
  }
}

/**
 * The same for BTF that shall take the place of the kernel's, which may be a bare blob or an ELF file. A file that cannot be
 * read is left to libbpf, which looks at it only if an object needs it. A kernel's whole BTF takes some 200 ms.
 * @throws LibbpfError BPF_OPEN
 */
export function checkCustomBtf(path: string): void {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch {
    return;
  }
  try {
    const isElf = bytes.length >= 4 && bytes.readUInt32BE(0) === elfMagic;
    const blob = isElf ? parseElf(bytes).section('.BTF')?.data : bytes;
    if (blob !== undefined) checkFollowed(parseBtf(blob));
  } catch (error) {
    if (error instanceof BtfError) refuse(`btfCustomPath ${path}: ${error.message}`);
    throw error;
  }
}

function refuse(detail: string): never {
  throw new LibbpfError('BPF_OPEN', 'open object', 0, detail);
}

/** That libbpf finds the same sections in the file as this check does. */
function checkTables(bytes: Buffer, elf: ElfFile): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // To libelf 0 means that section 0 has the number, for files of 65,280 sections and more; and it takes the size as given.
  if (elf.sections.length === 0) refuse('the file has no sections');
  const stride = view.getUint16(58, elf.littleEndian);
  if (stride !== sectionHeaderBytes) refuse(`section headers have ${stride} bytes, not ${sectionHeaderBytes}`);
  for (const name of sectionsOfOne) {
    if (elf.sections.filter((section) => section.name === name).length > 1)
      refuse(`there is more than one section ${name}`);
  }
}

function checkBtf(elf: ElfFile): void {
  const section = elf.section('.BTF');
  if (section === undefined || section.bytes === 0) return;
  const btf = parseBtf(section.data);
  checkTypes(btf);
  checkSlots(elf, btf);
  const ext = elf.section('.BTF.ext');
  if (ext === undefined || ext.bytes === 0) return;
  for (const { access } of parseBtfExt(ext.data, (at) => btf.stringAt(at)).relocations) {
    // Signed numbers to libbpf, of which it looks only whether they are too large.
    const isAccess = access.split(':').every((index) => /^\d+$/.test(index) && Number(index) <= accessIndexMax);
    if (!isAccess) refuse(`a CO-RE relocation follows "${access}", which is no path of indexes`);
  }
}

function checkSection({ name, type, bytes }: ElfSection): void {
  if (type === sectionType.nobits && bytes > globalDataBytesMax) {
    refuse(`section ${name} has ${bytes} bytes, more than ${globalDataBytesMax}`);
  }
}

function checkSymbols({ sections, symbols }: ElfFile): void {
  for (const { name, value, bytes, type, section: index } of symbols) {
    if (index === 0 || index >= sectionIndexSpecial) continue;
    const section = sections[index];
    if (section === undefined) return refuse(`symbol ${name} is in section ${index}, which is not there`);
    if (value > section.bytes || bytes > section.bytes - value)
      refuse(`symbol ${name} reaches past the end of ${section.name}`);
    const isCode =
      type === symbolFunction && section.type === sectionType.progbits && (section.flags & executable) !== 0;
    // A relocation may be at any slot of a function, and then libbpf writes into the slot behind it too.
    if (isCode && bytes >= instructionBytes && section.data[value + bytes - instructionBytes] === opcodeLoad64) {
      refuse(`function ${name} ends in the middle of an instruction`);
    }
  }
}
