import type { ElfFile } from '../elf/elf.js';
import type { CodeFunction } from './programs.js';
import { INSTRUCTION_BYTES } from './programs.js';

const OPCODE_CALL = 0x85;
const OPCODE_LD_IMM64 = 0x18;
const PSEUDO_CALL = 1;
/** The kernel's own limit on subprograms of one program. */
const SUBPROGRAMS_MAX = 256;

/** One function inside a loaded program: instructions from `first` on are the function's own. */
export interface Placement {
  readonly first: number;
  readonly code: CodeFunction;
}

/** Where one function of a program calls another, or takes its address. */
interface CallSite {
  /** Counted from the beginning of the calling function. */
  readonly instruction: number;
  readonly callee: CodeFunction;
  readonly isCall: boolean;
}

/** Repeats what libbpf does to make one program out of many functions, so that instruction numbers mean the same here. */
export class CallGraph {
  readonly #sites = new Map<CodeFunction, CallSite[]>();

  constructor(
    readonly elf: ElfFile,
    readonly functions: readonly CodeFunction[],
  ) {}

  /**
   * libbpf walks a function's instructions, appends each callee at the end when it first meets it, and goes into it at
   * once (`bpf_object__reloc_code`). The walk is iterative, because a hostile object could nest calls without end.
   */
  placementsOf(main: CodeFunction): Placement[] {
    const placed: Placement[] = [{ first: 0, code: main }];
    const seen = new Set([main]);
    let end = main.instructionCount;
    const pending = [...this.#calleesOf(main)].reverse();
    while (pending.length > 0 && placed.length <= SUBPROGRAMS_MAX) {
      const code = pending.pop() as CodeFunction;
      if (seen.has(code)) continue;
      seen.add(code);
      placed.push({ first: end, code });
      end += code.instructionCount;
      pending.push(
        ...this.#calleesOf(code)
          .filter((callee) => !seen.has(callee))
          .reverse(),
      );
    }
    return placed;
  }

  /** Callees in the order of the first call, without repeats. */
  #calleesOf(code: CodeFunction): CodeFunction[] {
    return [...new Set(this.sitesOf(code).map(({ callee }) => callee))];
  }

  sitesOf(code: CodeFunction): readonly CallSite[] {
    const known = this.#sites.get(code);
    if (known !== undefined) return known;
    const data = code.section.data;
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    const symbols = new Map(this.elf.relocationsOf(code.section).map(({ offset, symbol }) => [offset, symbol]));
    const sites: CallSite[] = [];
    for (let instruction = 0; instruction < code.instructionCount; instruction += 1) {
      const at = code.offset + instruction * INSTRUCTION_BYTES;
      if (!this.#isCall(view, at)) continue;
      const callee = this.#target(view, code, at, symbols.get(at));
      if (callee !== undefined) sites.push({ instruction, callee, isCall: view.getUint8(at) === OPCODE_CALL });
    }
    this.#sites.set(code, sites);
    return sites;
  }

  /** A call of a subprogram, or a load that may be the address of one: libbpf marks those only once it relocates. */
  #isCall(view: DataView, at: number): boolean {
    const opcode = view.getUint8(at);
    const registers = view.getUint8(at + 1);
    const source = this.elf.littleEndian ? registers >> 4 : registers & 0xf;
    return (opcode === OPCODE_CALL && source === PSEUDO_CALL) || opcode === OPCODE_LD_IMM64;
  }

  /** Calls count instructions from the next one, addresses are bytes; a relocation says from where in which section. */
  #target(view: DataView, code: CodeFunction, at: number, symbolIndex: number | undefined): CodeFunction | undefined {
    const immediate = view.getInt32(at + 4, this.elf.littleEndian);
    const isCall = view.getUint8(at) === OPCODE_CALL;
    const symbol = symbolIndex === undefined ? undefined : this.elf.symbols[symbolIndex];
    if (symbol === undefined && !isCall) return undefined;
    const displacement = isCall ? (immediate + 1) * INSTRUCTION_BYTES : immediate;
    return symbol === undefined
      ? this.functionAt(code.section.index, at + displacement)
      : this.functionAt(symbol.section, symbol.value + displacement);
  }

  /** `functions` are sorted by section and offset, and do not overlap. */
  functionAt(section: number, offset: number): CodeFunction | undefined {
    let low = 0;
    let high = this.functions.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const f = this.functions[middle] as CodeFunction;
      if (f.section.index < section || (f.section.index === section && f.offset <= offset)) low = middle + 1;
      else high = middle;
    }
    const found = this.functions[low - 1];
    if (found === undefined || found.section.index !== section) return undefined;
    return offset < found.offset + found.instructionCount * INSTRUCTION_BYTES ? found : undefined;
  }
}
