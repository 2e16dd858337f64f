// An object with one program of two instructions, as a compiler would write it (ELF-64, gABI; EM_BPF of elf.h): the device has no
// compiler, and what is tried must not depend on a release.

const HEADER_BYTES = 64;
const SECTION_BYTES = 64;
const SYMBOL_BYTES = 24;
const MACHINE_BPF = 247;
const [PROGBITS, SYMTAB, STRTAB] = [1, 2, 3];
const CODE_FLAGS = 6;
const GLOBAL_FUNCTION = 0x12;
const PROGRAM_INDEX = 4;

/** The program's name in every tiny object. */
export const TINY_PROGRAM = 'doctor';

interface Section {
  readonly name: string;
  readonly type: number;
  readonly data: Buffer;
  readonly flags?: number;
  readonly link?: number;
  readonly info?: number;
  readonly entryBytes?: number;
}

function instructions(returnValue: number): Buffer {
  const bytes = Buffer.alloc(16);
  // r0 = returnValue; exit
  bytes[0] = 0xb7;
  bytes.writeInt32LE(returnValue, 4);
  bytes[8] = 0x95;
  return bytes;
}

function symbols(nameOffset: number): Buffer {
  const bytes = Buffer.alloc(2 * SYMBOL_BYTES);
  bytes.writeUInt32LE(nameOffset, SYMBOL_BYTES);
  bytes[SYMBOL_BYTES + 4] = GLOBAL_FUNCTION;
  bytes.writeUInt16LE(PROGRAM_INDEX, SYMBOL_BYTES + 6);
  bytes.writeBigUInt64LE(16n, SYMBOL_BYTES + 16);
  return bytes;
}

/** @param section as SEC() would name it; the program does nothing but return the value */
export function tinyObject(section: string, returnValue: number): Buffer {
  const names = ['', '.strtab', '.symtab', 'license', section, TINY_PROGRAM];
  const offsets = names.map((_, index) => Buffer.byteLength(names.slice(0, index).join('\0')) + Math.min(index, 1));
  const sections: Section[] = [
    { name: '', type: 0, data: Buffer.alloc(0) },
    { name: '.strtab', type: STRTAB, data: Buffer.from(`${names.join('\0')}\0`) },
    {
      ...{ name: '.symtab', type: SYMTAB, data: symbols(offsets[5] ?? 0) },
      ...{ link: 1, info: 1, entryBytes: SYMBOL_BYTES },
    },
    { name: 'license', type: PROGBITS, data: Buffer.from('GPL\0') },
    { name: section, type: PROGBITS, data: instructions(returnValue), flags: CODE_FLAGS },
  ];
  return layOut(sections, offsets);
}

function layOut(sections: readonly Section[], nameOffsets: readonly number[]): Buffer {
  let at = HEADER_BYTES;
  const headers = Buffer.alloc(sections.length * SECTION_BYTES);
  const contents = sections.map(({ type, data, flags = 0, link = 0, info = 0, entryBytes = 0 }, index) => {
    const base = index * SECTION_BYTES;
    headers.writeUInt32LE(nameOffsets[index] ?? 0, base);
    headers.writeUInt32LE(type, base + 4);
    headers.writeBigUInt64LE(BigInt(flags), base + 8);
    headers.writeBigUInt64LE(BigInt(at), base + 24);
    headers.writeBigUInt64LE(BigInt(data.length), base + 32);
    headers.writeUInt32LE(link, base + 40);
    headers.writeUInt32LE(info, base + 44);
    headers.writeBigUInt64LE(type === 0 ? 0n : 8n, base + 48);
    headers.writeBigUInt64LE(BigInt(entryBytes), base + 56);
    const padded = Buffer.alloc(Math.ceil(data.length / 8) * 8);
    data.copy(padded);
    at += padded.length;
    return padded;
  });
  return Buffer.concat([header(at, sections.length), ...contents, headers]);
}

function header(sectionsAt: number, count: number): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  // 64 bits, little-endian, version 1.
  Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]).copy(bytes);
  bytes.writeUInt16LE(1, 16);
  bytes.writeUInt16LE(MACHINE_BPF, 18);
  bytes.writeUInt32LE(1, 20);
  bytes.writeBigUInt64LE(BigInt(sectionsAt), 40);
  bytes.writeUInt16LE(HEADER_BYTES, 52);
  bytes.writeUInt16LE(SECTION_BYTES, 58);
  bytes.writeUInt16LE(count, 60);
  bytes.writeUInt16LE(1, 62);
  return bytes;
}
