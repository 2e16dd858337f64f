import type { Relocation } from '../core/relocation.js';
import type { Btf } from '../types/btf.js';
import type { CodeTable } from './code-table.js';
import type { LineTable } from './line-table.js';

/** One program as libbpf would name it: the symbol, and the section that says how it attaches. */
export interface ProgramDefinition {
  readonly name: string;
  readonly section: string;
  /** Byte offset of the first instruction inside the section. */
  readonly offset: number;
  /** Instructions of the function itself, 8 bytes each, without the subprograms that libbpf appends. */
  readonly instructionCount: number;
}

export interface MapDefinition {
  readonly name: string;
  /** Number of the type in `enum bpf_map_type`. */
  readonly type: number;
  /** Such as `hash`, `percpu_hash`, `ringbuf`; `map_type_N` for a number that is newer than this library. */
  readonly typeName: string;
  readonly perCpu: boolean;
  /** 0 where the type has no key, such as ring buffers. */
  readonly keyBytes: number;
  readonly valueBytes: number;
  /** For ring buffers the size in bytes; 0 when the loader is to choose. */
  readonly maxEntries: number;
  readonly flags: number;
  readonly keyTypeId?: number;
  readonly valueTypeId?: number;
  /** `__uint(pinning, …)`: 1 is LIBBPF_PIN_BY_NAME. */
  readonly pinning: number;
  /** The template of a map in a map. */
  readonly inner?: MapDefinition;
}

/** `.rodata`, `.data`, `.bss` and their named variants: libbpf makes one array map of one entry out of each. */
export interface DataSection {
  readonly name: string;
  readonly bytes: number;
  readonly readOnly: boolean;
  /** A copy of the initial content; zeros for `.bss`. */
  readonly image: Uint8Array;
}

export interface GlobalVariable {
  readonly name: string;
  readonly section: string;
  /** Byte offset in the section's image. */
  readonly offset: number;
  readonly bytes: number;
  readonly typeId: number;
  readonly linkage: 'static' | 'global' | 'extern';
  /** Declared `const volatile`: a knob that the loader may set before load. */
  readonly tunable: boolean;
}

/** A compiled BPF object, as far as it can be known without a kernel. */
export interface BpfObjectFile {
  readonly btf: Btf;
  readonly littleEndian: boolean;
  /** Empty when the object has no `license` section. */
  readonly license: string;
  readonly programs: readonly ProgramDefinition[];
  readonly maps: readonly MapDefinition[];
  readonly dataSections: readonly DataSection[];
  readonly globals: readonly GlobalVariable[];
  readonly lines: LineTable;
  readonly code: CodeTable;
  /** CO-RE relocations as the compiler recorded them, unresolved. */
  readonly coreRelocations: readonly Relocation[];
}
