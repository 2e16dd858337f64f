import { readSync } from 'node:fs';
import type { ElfSectionPlace, ElfTable } from '@bpfleet/btf';
import { BtfError, readElfTable } from '@bpfleet/btf';

// ELF for the ARM Architecture (IHI 0044), and the layout of notes that systemtap's wiki gives (UserSpaceProbeImplementation).
const machineArm = 40;
const sectionType = { symtab: 2, nobits: 8, dynsym: 11 } as const;
const symbolFunction = 2;
const symbolBytes = 16;
const usdtNote = 3;
/** Of one table: those of a C library are 100 KiB. What is larger is not read, and so is not known. */
const tableBytesMax = 8 << 20;
const notesMax = 65_536;

/** In which of the two instruction sets the code at some place is. */
export type ArmCode = 'arm' | 'thumb' | 'unknown';

interface Symbol {
  readonly name: string;
  readonly address: number;
  readonly bytes: number;
  readonly isFunction: boolean;
  readonly section: number;
}

/** A program or library of 32-bit ARM, by its symbols. Reads the file that it was given, which has to stay open. */
export class ArmProgram {
  private constructor(
    private readonly fd: number,
    private readonly table: ElfTable,
  ) {}

  /** Undefined for a file that is none. */
  static read(fd: number): ArmProgram | undefined {
    try {
      const table = readElfTable((offset, length) => readAt(fd, offset, length));
      return table.machine === machineArm && table.bits === 32 ? new ArmProgram(fd, table) : undefined;
    } catch (error) {
      if (error instanceof BtfError) return undefined;
      throw error;
    }
  }

  /** By bit 0 of its address (IHI 0044, 5.5.3). Looks where libbpf does: exported functions first, `name@VERSION` by the name. */
  codeOfFunction(name: string): ArmCode {
    const [bare = ''] = name.split('@', 1);
    for (const type of [sectionType.dynsym, sectionType.symtab]) {
      const codes: ArmCode[] = [];
      for (const one of this.symbols(type)) {
        if (one.isFunction && one.name.split('@', 1)[0] === bare) codes.push(codeOf(one.address));
      }
      if (codes.length > 0) return agreed(codes);
    }
    return 'unknown';
  }

  codeAtOffset(offset: number): ArmCode {
    const place = this.table.sections.find((one) => isInFile(one) && covers(one.offset, one.bytes, offset));
    return place === undefined ? 'unknown' : this.codeAt(offset - place.offset + place.address);
  }

  /** Undefined where the program has no such USDT. */
  codeOfUsdt(provider: string, name: string): ArmCode | undefined {
    const addresses = this.usdtAddresses(provider, name);
    return addresses.length === 0 ? undefined : agreed(addresses.map((address) => this.codeAt(address)));
  }

  /** By the mapping symbols, which strip takes away (5.5.5), else by the function that the address is in. */
  private codeAt(address: number): ArmCode {
    const place = this.table.sections.find((one) => isInFile(one) && covers(one.address, one.bytes, address));
    if (place === undefined) return 'unknown';
    let nearest: Symbol | undefined;
    for (const symbol of this.symbols(sectionType.symtab)) {
      if (!/^\$[atd](\.|$)/.test(symbol.name) || symbol.section !== place.index || symbol.address > address) continue;
      if (nearest === undefined || symbol.address >= nearest.address) nearest = symbol;
    }
    if (nearest !== undefined) return ({ $a: 'arm', $t: 'thumb' } as const)[nearest.name.slice(0, 2)] ?? 'unknown';
    for (const one of this.symbols(sectionType.dynsym)) {
      if (one.isFunction && covers(one.address - (one.address % 2), one.bytes, address)) return codeOf(one.address);
    }
    return 'unknown';
  }

  private usdtAddresses(provider: string, name: string): number[] {
    const notes = this.table.sections.find((one) => one.name === '.note.stapsdt');
    if (notes === undefined) return [];
    const bytes = this.bytesOf(notes);
    const word = (at: number): number => (this.table.littleEndian ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at));
    const base = this.table.sections.find((one) => one.name === '.stapsdt.base')?.address;
    const addresses: number[] = [];
    let at = 0;
    for (let count = 0; count < notesMax && at + 12 <= bytes.length; count += 1) {
      const [nameBytes, descriptionBytes, type] = [word(at), word(at + 4), word(at + 8)];
      const start = at + 12 + rounded(nameBytes);
      at = start + rounded(descriptionBytes);
      if (at > bytes.length || type !== usdtNote || descriptionBytes < 12) continue;
      const [of, called] = bytes.toString('latin1', start + 12, start + descriptionBytes).split('\0');
      // prelink moves a program and not its notes: by what their base has moved.
      if (of === provider && called === name)
        addresses.push(word(start) + (base === undefined ? 0 : base - word(start + 4)));
    }
    return addresses;
  }

  /** One at a time: a large program has a hundred thousand, and a small device little memory. */
  private *symbols(type: number): Generator<Symbol> {
    const table = this.table.sections.find((one) => one.type === type);
    const names = table && this.table.sections[table.link];
    if (table === undefined || names === undefined) return;
    const [bytes, strings] = [this.bytesOf(table), this.bytesOf(names)];
    const little = this.table.littleEndian;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at + symbolBytes <= bytes.length; at += symbolBytes) {
      const section = view.getUint16(at + 14, little);
      const start = view.getUint32(at, little);
      const end = strings.indexOf(0, start);
      if (section === 0 || end < 0) continue;
      yield {
        name: strings.toString('latin1', start, end),
        address: view.getUint32(at + 4, little),
        bytes: view.getUint32(at + 8, little),
        isFunction: (view.getUint8(at + 12) & 0xf) === symbolFunction,
        section,
      };
    }
  }

  /** Nothing where it is too much, or not all there. */
  private bytesOf({ type, offset, bytes }: ElfSectionPlace): Buffer {
    if (type === sectionType.nobits || bytes > tableBytesMax) return Buffer.alloc(0);
    const read = readAt(this.fd, offset, bytes);
    return read.length === bytes ? read : Buffer.alloc(0);
  }
}

function readAt(fd: number, offset: number, length: number): Buffer {
  if (offset > Number.MAX_SAFE_INTEGER || length > tableBytesMax) return Buffer.alloc(0);
  const target = Buffer.alloc(length);
  return target.subarray(0, readSync(fd, target, 0, length, offset));
}

function codeOf(address: number): ArmCode {
  return (address & 1) === 1 ? 'thumb' : 'arm';
}

/** One place in Thumb code is enough to be refused; one that is not known, to be careful. */
function agreed(codes: readonly ArmCode[]): ArmCode {
  if (codes.includes('thumb')) return 'thumb';
  return codes.includes('unknown') ? 'unknown' : 'arm';
}

function isInFile({ type, address }: ElfSectionPlace): boolean {
  return type !== sectionType.nobits && address > 0;
}

function covers(start: number, bytes: number, at: number): boolean {
  return at >= start && at < start + bytes;
}

function rounded(bytes: number): number {
  return Math.ceil(bytes / 4) * 4;
}
