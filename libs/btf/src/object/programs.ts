import type { ElfFile, ElfSection } from '../elf/elf.js';
import { SECTION_FLAG, SECTION_TYPE, SYMBOL_TYPE } from '../elf/elf.js';
import { BtfError } from '../error.js';

const FUNCTIONS_MAX = 4096;
export const INSTRUCTION_BYTES = 8;
/** Functions of this section are subprograms: libbpf appends them to the programs that call them. */
const SUBPROGRAM_SECTION = '.text';

/** One function of an executable section, program or subprogram. */
export interface CodeFunction {
  readonly name: string;
  readonly section: ElfSection;
  readonly offset: number;
  readonly instructionCount: number;
  readonly isProgram: boolean;
}

/**
 * The functions of an object in libbpf's order: by section, then by address, none inside another.
 * @throws BtfError OBJECT_INVALID when a function is not made of whole instructions inside its section
 */
export function functionsOf(elf: ElfFile): CodeFunction[] {
  const functions: CodeFunction[] = [];
  for (const symbol of elf.symbols) {
    if (symbol.type !== SYMBOL_TYPE.func) continue;
    const section = elf.sections[symbol.section];
    if (section === undefined || section.type !== SECTION_TYPE.progbits) continue;
    if ((section.flags & SECTION_FLAG.exec) === 0) continue;
    if (symbol.value % INSTRUCTION_BYTES !== 0 || symbol.bytes % INSTRUCTION_BYTES !== 0 || symbol.bytes === 0) {
      throw new BtfError('OBJECT_INVALID', `function ${symbol.name} is not made of whole instructions`);
    }
    if (symbol.value + symbol.bytes > section.bytes) {
      throw new BtfError('OBJECT_INVALID', `function ${symbol.name} reaches past the end of ${section.name}`);
    }
    if (functions.length >= FUNCTIONS_MAX) throw new BtfError('BTF_LIMIT', `more than ${FUNCTIONS_MAX} functions`);
    functions.push({
      name: symbol.name,
      section,
      offset: symbol.value,
      instructionCount: symbol.bytes / INSTRUCTION_BYTES,
      isProgram: section.name !== SUBPROGRAM_SECTION,
    });
  }
  functions.sort((a, b) => a.section.index - b.section.index || a.offset - b.offset);
  functions.forEach((next, index) => {
    const previous = functions[index - 1];
    if (previous === undefined || previous.section !== next.section) return;
    if (next.offset < previous.offset + previous.instructionCount * INSTRUCTION_BYTES) {
      throw new BtfError('OBJECT_INVALID', `functions ${previous.name} and ${next.name} overlap`);
    }
  });
  return functions;
}
