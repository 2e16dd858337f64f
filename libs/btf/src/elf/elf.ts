import { BtfError } from '../error.js';
import { elfString, readElfTable, type ElfTable } from './section-table.js';

const ELF_BYTES_MAX = 64 * 1024 * 1024;
const SYMBOLS_MAX = 200_000;
const RELOCATIONS_MAX = 500_000;

/** `e_machine` of BPF objects. */
export const EM_BPF = 247;

export const SECTION_TYPE = { progbits: 1, symtab: 2, strtab: 3, rela: 4, nobits: 8, rel: 9 } as const;
export const SECTION_FLAG = { write: 1, alloc: 2, exec: 4 } as const;
export const SYMBOL_TYPE = { none: 0, object: 1, func: 2, section: 3 } as const;

export interface ElfSection {
  readonly index: number;
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  readonly link: number;
  readonly info: number;
  /** Where it is in memory, for what a linker has put together; 0 in relocatable objects. */
  readonly address: number;
  /** Size in memory; sections of type `nobits` have it without any data. */
  readonly bytes: number;
  /** A view of the file, not a copy. */
  readonly data: Uint8Array;
}

export interface ElfSymbol {
  readonly index: number;
  readonly name: string;
  /** Offset inside the section for relocatable objects. */
  readonly value: number;
  readonly bytes: number;
  readonly type: number;
  readonly binding: 'local' | 'global' | 'weak' | 'other';
  /** 0 is undefined; from 0xff00 on the index is special. */
  readonly section: number;
}

export interface ElfRelocation {
  readonly offset: number;
  readonly type: number;
  readonly symbol: number;
  readonly addend: number;
}

export interface ElfFile {
  readonly bits: 32 | 64;
  readonly littleEndian: boolean;
  readonly machine: number;
  readonly sections: readonly ElfSection[];
  readonly symbols: readonly ElfSymbol[];
  /** The first section of that name. */
  section(name: string): ElfSection | undefined;
  /** Relocations that apply to a section, in file order. */
  relocationsOf(section: ElfSection): ElfRelocation[];
}

/**
 * Reads the section headers and symbols of an ELF file of any class and byte order.
 * @throws BtfError ELF_INVALID, BTF_LIMIT
 */
export function parseElf(bytes: Uint8Array): ElfFile {
  if (bytes.byteLength > ELF_BYTES_MAX) {
    throw new BtfError('BTF_LIMIT', `an ELF file of ${bytes.byteLength} bytes is above the limit of ${ELF_BYTES_MAX}`);
  }
  const reader = new ElfReader(bytes);
  const sections = reader.sections();
  const symbols = reader.symbols(sections);
  const byName = new Map<string, ElfSection>();
  for (const section of sections) if (!byName.has(section.name)) byName.set(section.name, section);
  return {
    bits: reader.wide ? 64 : 32,
    littleEndian: reader.littleEndian,
    machine: reader.machine,
    sections,
    symbols,
    section: (name) => byName.get(name),
    relocationsOf: (section) => reader.relocations(sections, section),
  };
}

class ElfReader {
  readonly view: DataView;
  readonly wide: boolean;
  readonly littleEndian: boolean;
  readonly machine: number;
  readonly bytes: Uint8Array;
  readonly #table: ElfTable;

  constructor(input: Uint8Array) {
    // A Buffer's slice() shares memory where a Uint8Array's copies: inside this library there are only the latter.
    const bytes = new Uint8Array(input.buffer, input.byteOffset, input.byteLength);
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#table = readElfTable((offset, length) => bytes.subarray(offset, offset + length));
    this.wide = this.#table.bits === 64;
    this.littleEndian = this.#table.littleEndian;
    this.machine = this.#table.machine;
  }

  sections(): ElfSection[] {
    return this.#table.sections.map(({ offset, ...section }) => {
      const { type, bytes, index } = section;
      const inFile = type === SECTION_TYPE.nobits || type === 0 ? 0 : bytes;
      if (inFile > 0) this.#check(offset, inFile, `section ${index}`);
      const data = inFile > 0 ? this.bytes.subarray(offset, offset + inFile) : this.bytes.subarray(0, 0);
      return { ...section, data };
    });
  }

  symbols(sections: readonly ElfSection[]): ElfSymbol[] {
    const table = sections.find((section) => section.type === SECTION_TYPE.symtab);
    if (table === undefined) return [];
    const strings = sections[table.link];
    if (strings === undefined) throw new BtfError('ELF_INVALID', 'the symbols have no names');
    const stride = this.wide ? 24 : 16;
    const count = Math.floor(table.data.byteLength / stride);
    if (count > SYMBOLS_MAX) throw new BtfError('BTF_LIMIT', `${count} symbols are more than ${SYMBOLS_MAX}`);
    const base = table.data.byteOffset - this.bytes.byteOffset;
    return Array.from({ length: count }, (_, index) => {
      const at = base + index * stride;
      const info = this.view.getUint8(at + (this.wide ? 4 : 12));
      return {
        index,
        name: elfString(strings.data, this.u32(at)),
        value: this.wide ? this.u64(at + 8) : this.u32(at + 4),
        bytes: this.wide ? this.u64(at + 16) : this.u32(at + 8),
        type: info & 0xf,
        binding: (['local', 'global', 'weak'] as const)[info >> 4] ?? 'other',
        section: this.u16(at + (this.wide ? 6 : 14)),
      };
    });
  }

  relocations(sections: readonly ElfSection[], target: ElfSection): ElfRelocation[] {
    const found: ElfRelocation[] = [];
    for (const section of sections) {
      const withAddend = section.type === SECTION_TYPE.rela;
      if ((!withAddend && section.type !== SECTION_TYPE.rel) || section.info !== target.index) continue;
      const stride = (this.wide ? 16 : 8) + (withAddend ? (this.wide ? 8 : 4) : 0);
      const base = section.data.byteOffset - this.bytes.byteOffset;
      const count = Math.floor(section.data.byteLength / stride);
      if (found.length + count > RELOCATIONS_MAX) {
        throw new BtfError('BTF_LIMIT', `more than ${RELOCATIONS_MAX} relocations`);
      }
      for (let index = 0; index < count; index += 1) found.push(this.#relocation(base + index * stride, withAddend));
    }
    return found;
  }

  u16(at: number): number {
    return this.view.getUint16(at, this.littleEndian);
  }

  u32(at: number): number {
    return this.view.getUint32(at, this.littleEndian);
  }

  /** Values of 2^53 and more lose bits, and are out of any bounds here. */
  u64(at: number): number {
    return Number(this.view.getBigUint64(at, this.littleEndian));
  }

  #relocation(at: number, withAddend: boolean): ElfRelocation {
    if (!this.wide) {
      const info = this.u32(at + 4);
      const addend = withAddend ? this.u32(at + 8) | 0 : 0;
      return { offset: this.u32(at), type: info & 0xff, symbol: info >>> 8, addend };
    }
    const info = this.view.getBigUint64(at + 8, this.littleEndian);
    const addend = withAddend ? Number(this.view.getBigInt64(at + 16, this.littleEndian)) : 0;
    return { offset: this.u64(at), type: Number(info & 0xffff_ffffn), symbol: Number(info >> 32n), addend };
  }

  #check(start: number, length: number, what: string): void {
    if (start + length <= this.bytes.byteLength) return;
    throw new BtfError('ELF_INVALID', `${what} would reach past the end of the file`, start);
  }
}
