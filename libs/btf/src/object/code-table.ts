import type { ElfFile } from '../elf/elf.js';
import type { CallGraph } from './call-graph.js';
import { DataReferences, type DataReference } from './data-references.js';
import type { CodeFunction } from './programs.js';
import { INSTRUCTION_BYTES } from './programs.js';

/** A function, program or subprogram, as a stretch of a section. */
export interface FunctionCode {
  readonly name: string;
  readonly section: string;
  /** Byte offset of the first instruction inside the section. */
  readonly offset: number;
  readonly instructionCount: number;
}

/** One function at its place in a loaded program. */
export interface ProgramPart extends FunctionCode {
  /** The number of its first instruction in the loaded program. */
  readonly first: number;
  /** The instructions as they are in the object: a view, not a copy. */
  readonly bytes: Uint8Array;
  /** Calls of other functions: instruction of the loaded program → first instruction of the callee. */
  readonly calls: ReadonlyMap<number, number>;
  /** Immediates that become addresses: instruction of the loaded program → of what. */
  readonly references: ReadonlyMap<number, DataReference>;
}

/** The code of an object, before any relocation. */
export interface CodeTable {
  /** The function that holds a byte of the (first) section of that name. */
  functionAt(section: string, offset: number): FunctionCode | undefined;
  /** A program and the subprograms that libbpf would append to it, in its order. Undefined when there is no such program. */
  partsOf(program: string): readonly ProgramPart[] | undefined;
}

export function buildCodeTable(elf: ElfFile, calls: CallGraph, functions: readonly CodeFunction[]): CodeTable {
  const references = new DataReferences(elf);
  return {
    functionAt(section, offset) {
      const index = elf.section(section)?.index;
      const code = index === undefined ? undefined : calls.functionAt(index, offset);
      return code === undefined ? undefined : describe(code);
    },
    partsOf(program) {
      const main = functions.find((code) => code.isProgram && code.name === program);
      if (main === undefined) return undefined;
      const placements = calls.placementsOf(main);
      const firstOf = new Map(placements.map(({ first, code }) => [code, first]));
      return placements.map(({ first, code }) => ({
        ...describe(code),
        first,
        bytes: code.section.data.subarray(code.offset, code.offset + code.instructionCount * INSTRUCTION_BYTES),
        calls: new Map(
          calls.sitesOf(code).flatMap(({ instruction, callee, isCall }) => {
            const target = firstOf.get(callee);
            return isCall && target !== undefined ? [[first + instruction, target] as const] : [];
          }),
        ),
        references: new Map([...references.of(code)].map(([instruction, to]) => [first + instruction, to])),
      }));
    },
  };
}

function describe({ name, section, offset, instructionCount }: CodeFunction): FunctionCode {
  return { name, section: section.name, offset, instructionCount };
}
