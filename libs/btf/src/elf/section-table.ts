import { BtfError } from '../error.js';

const SECTIONS_MAX = 4096;
const NAME_BYTES_MAX = 1024;
/** Of the table of section names. */
const NAMES_BYTES_MAX = 1024 * 1024;
const HEADER_BYTES = 64;

/** A section by its header alone; its bytes were not read. */
export interface ElfSectionPlace {
  readonly index: number;
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  readonly link: number;
  readonly info: number;
  /** Where it is in memory, for what a linker has put together; 0 in relocatable objects. */
  readonly address: number;
  /** Where it lies in the file. */
  readonly offset: number;
  readonly bytes: number;
}

export interface ElfTable {
  readonly bits: 32 | 64;
  readonly littleEndian: boolean;
  /** `e_machine`: 62 is x86-64, 183 is ARM64, 40 is ARM, 247 is BPF. */
  readonly machine: number;
  readonly sections: readonly ElfSectionPlace[];
}

/** `length` bytes from `offset` of a file, or fewer where it ends before. */
export type ReadAt = (offset: number, length: number) => Uint8Array;

/**
 * What sections an ELF file has and where, without reading the file: a kernel with its debug information has 500 MB and more.
 * Whether the sections lie inside of the file is the caller's to see.
 * @throws BtfError ELF_INVALID, BTF_LIMIT
 */
export function readElfTable(read: ReadAt): ElfTable {
  const header = readHeader(read);
  const { stride, count, start, nameIndex } = header;
  if (count === 0) return { ...header, sections: [] };
  if (count > SECTIONS_MAX) throw new BtfError('BTF_LIMIT', `${count} sections are more than ${SECTIONS_MAX}`);
  if (stride < (header.bits === 64 ? 64 : 40)) throw new BtfError('ELF_INVALID', `section headers of ${stride} bytes`);
  if (nameIndex >= count) throw new BtfError('ELF_INVALID', 'the section of names is not there');
  const headers = readAll(read, start, count * stride, 'the section headers');
  const sections = Array.from({ length: count }, (_, index) => sectionPlace(headers, index, header));
  const names = sections[nameIndex] as Unnamed;
  if (names.bytes > NAMES_BYTES_MAX) throw new BtfError('BTF_LIMIT', `section names of ${names.bytes} bytes`);
  const strings = readAll(read, names.offset, names.bytes, 'the section of names');
  return {
    bits: header.bits,
    littleEndian: header.littleEndian,
    machine: header.machine,
    sections: sections.map(({ nameAt, ...section }) => ({ ...section, name: elfString(strings, nameAt) })),
  };
}

/** A string of an ELF string table. @throws BtfError ELF_INVALID, BTF_LIMIT */
export function elfString(table: Uint8Array, offset: number): string {
  if (offset === 0) return '';
  const end = table.indexOf(0, offset);
  if (offset >= table.byteLength || end < 0) {
    throw new BtfError('ELF_INVALID', 'a name lies outside of its string table', offset);
  }
  if (end - offset > NAME_BYTES_MAX) throw new BtfError('BTF_LIMIT', `a name is longer than ${NAME_BYTES_MAX} bytes`);
  return DECODER.decode(table.subarray(offset, end));
}

const DECODER = new TextDecoder();

type Unnamed = Omit<ElfSectionPlace, 'name'> & { readonly nameAt: number };

interface Header {
  readonly bits: 32 | 64;
  readonly littleEndian: boolean;
  readonly machine: number;
  readonly start: number;
  readonly stride: number;
  readonly count: number;
  readonly nameIndex: number;
}

function readHeader(read: ReadAt): Header {
  const bytes = read(0, HEADER_BYTES);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.byteLength < 16 || view.getUint32(0) !== 0x7f454c46) {
    throw new BtfError('ELF_INVALID', 'not an ELF file', 0);
  }
  const elfClass = view.getUint8(4);
  const order = view.getUint8(5);
  if (elfClass !== 1 && elfClass !== 2) throw new BtfError('ELF_INVALID', `unknown ELF class ${elfClass}`, 4);
  if (order !== 1 && order !== 2) throw new BtfError('ELF_INVALID', `unknown byte order ${order}`, 5);
  const wide = elfClass === 2;
  if (bytes.byteLength < (wide ? 64 : 52)) throw new BtfError('ELF_INVALID', 'shorter than its header', 0);
  const little = order === 1;
  return {
    bits: wide ? 64 : 32,
    littleEndian: little,
    machine: view.getUint16(18, little),
    start: wide ? Number(view.getBigUint64(40, little)) : view.getUint32(32, little),
    stride: view.getUint16(wide ? 58 : 46, little),
    count: view.getUint16(wide ? 60 : 48, little),
    nameIndex: view.getUint16(wide ? 62 : 50, little),
  };
}

function sectionPlace(headers: Uint8Array, index: number, { bits, stride, littleEndian }: Header): Unnamed {
  const view = new DataView(headers.buffer, headers.byteOffset + index * stride, stride);
  const wide = bits === 64;
  const u32 = (at: number): number => view.getUint32(at, littleEndian);
  // Values of 2^53 and more lose bits, and are out of any bounds here.
  const word = (at64: number, at32: number): number =>
    wide ? Number(view.getBigUint64(at64, littleEndian)) : u32(at32);
  return {
    index,
    nameAt: u32(0),
    type: u32(4),
    flags: word(8, 8),
    link: u32(wide ? 40 : 24),
    info: u32(wide ? 44 : 28),
    address: word(16, 12),
    offset: word(24, 16),
    bytes: word(32, 20),
  };
}

function readAll(read: ReadAt, offset: number, length: number, what: string): Uint8Array {
  const bytes = read(offset, length);
  if (bytes.byteLength === length) return bytes;
  throw new BtfError('ELF_INVALID', `${what} would reach past the end of the file`, offset);
}
