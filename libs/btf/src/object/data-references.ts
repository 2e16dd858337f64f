import type { ElfFile, ElfSection } from '../elf/elf.js';
import type { CodeFunction } from './programs.js';
import { INSTRUCTION_BYTES } from './programs.js';

const OPCODE_LD_IMM64 = 0x18;

/** What a 64-bit load becomes the address of, once it is relocated. */
export interface DataReference {
  /** Undefined for what is in no section of the object: what the kernel's configuration or its symbols give. */
  readonly section: string | undefined;
  /** Bytes into the section. */
  readonly offset: number;
}

/** Finds which immediates of the code are addresses: in the object they look like the numbers that they are not. */
export class DataReferences {
  readonly #bySection = new Map<number, ReadonlyMap<number, DataReference>>();

  constructor(private readonly elf: ElfFile) {}

  /** By instruction, counted from the beginning of the function. */
  of({ section, offset, instructionCount }: CodeFunction): Map<number, DataReference> {
    const references = this.#inSection(section);
    const found = new Map<number, DataReference>();
    for (let instruction = 0; instruction < instructionCount; instruction += 1) {
      const reference = references.get(offset + instruction * INSTRUCTION_BYTES);
      if (reference !== undefined) found.set(instruction, reference);
    }
    return found;
  }

  /** By byte offset. As libbpf has it, the offset is the symbol's and what the instruction holds (`bpf_object__reloc_code`). */
  #inSection(section: ElfSection): ReadonlyMap<number, DataReference> {
    const known = this.#bySection.get(section.index);
    if (known !== undefined) return known;
    const { data } = section;
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    const found = new Map<number, DataReference>();
    for (const { offset, symbol: index } of this.elf.relocationsOf(section)) {
      const isInside = offset + INSTRUCTION_BYTES <= data.byteLength;
      if (!isInside || view.getUint8(offset) !== OPCODE_LD_IMM64) continue;
      const symbol = this.elf.symbols[index];
      const target = symbol === undefined || symbol.section === 0 ? undefined : this.elf.sections[symbol.section];
      const immediate = view.getInt32(offset + 4, this.elf.littleEndian);
      found.set(offset, { section: target?.name, offset: (symbol?.value ?? 0) + immediate });
    }
    this.#bySection.set(section.index, found);
    return found;
  }
}
