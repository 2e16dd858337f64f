import { INSTRUCTION_BYTES } from '../object/programs.js';
import type { ProgramPart } from '../object/code-table.js';
import type { SourceLine } from '../object/line-table.js';
import type { BpfObjectFile } from '../object/types.js';
import type { Btf } from '../types/btf.js';
import type { BtfType, CompositeType } from '../types/types.js';
import { CLASS, InstructionView } from './instruction.js';
import type { AddressRead } from './reads.js';
import { readsThrough } from './reads.js';
import type { CoreResolution, ResolvedRelocation } from './resolve.js';
import type { AccessSpec } from './spec.js';
import { specValue } from './value.js';

/**
 * - `past_end`: more bytes are read than the field has here, and what comes is partly its neighbour: silent garbage.
 * - `truncated`: the field is wider here than what is read of it: large values are cut off, and on big-endian kernels all are.
 * - `unsafe_resize`: libbpf cannot change the access to the field's size, and makes the instruction invalid.
 */
export type ReadMismatchKind = 'past_end' | 'truncated' | 'unsafe_resize';

/** A read that loads, and gives something else than what the field holds. */
export interface ReadMismatch {
  readonly kind: ReadMismatchKind;
  readonly program: string;
  /** As the verifier counts, subprograms included. */
  readonly instruction: number;
  readonly line: SourceLine | undefined;
  /** Such as `task_struct.nvcsw`, by the names of the target. */
  readonly field: string;
  readonly readBytes: number;
  /** Bytes that the field has in the target. */
  readonly fieldBytes: number;
  readonly reason: string;
}

/**
 * Reads whose size is not the field's on this kernel. libbpf adjusts a plain load of a pointer or an unsigned integer by
 * itself; it cannot see `bpf_probe_read_kernel` (BPF_CORE_READ), which reads as many bytes as the field had where the program
 * was compiled. Programs that ask for the size (BPF_CORE_READ_BITFIELD_PROBED) are fine and are not named.
 */
export function findReadMismatches(object: BpfObjectFile, resolution: CoreResolution): ReadMismatch[] {
  const search = new Search(object, resolution);
  return object.programs.flatMap(({ name }) =>
    (object.code.partsOf(name) ?? []).flatMap((part) => search.inPart(name, part)),
  );
}

class Search {
  readonly #byPlace = new Map<string, ResolvedRelocation[]>();
  /** Fields whose size the object asks for, and so handles by itself. */
  readonly #sizeAsked = new Set<string>();

  constructor(
    readonly object: BpfObjectFile,
    readonly resolution: CoreResolution,
  ) {
    for (const resolved of resolution.relocations) {
      const { section, offset, kind, typeId, access } = resolved.relocation;
      if (kind === 'field_byte_size') this.#sizeAsked.add(`${typeId} ${access}`);
      const place = `${section}\0${offset}`;
      const before = this.#byPlace.get(place);
      if (before === undefined) this.#byPlace.set(place, [resolved]);
      else before.push(resolved);
    }
  }

  inPart(program: string, part: ProgramPart): ReadMismatch[] {
    const view = new InstructionView(part.bytes, this.object.littleEndian);
    const found: ReadMismatch[] = [];
    for (let index = 0; index < part.instructionCount; index += 1) {
      for (const resolved of this.#at(part, index)) {
        if (resolved.relocation.kind !== 'field_byte_offset' || resolved.target === undefined) continue;
        for (const mismatch of this.#ofRelocation(view, part, index, resolved)) {
          const instruction = part.first + mismatch.instruction;
          found.push({ ...mismatch, program, instruction, line: this.object.lines.lineAt(program, instruction) });
        }
      }
    }
    return found;
  }

  #at(part: ProgramPart, index: number): readonly ResolvedRelocation[] {
    return this.#byPlace.get(`${part.section}\0${part.offset + index * INSTRUCTION_BYTES}`) ?? [];
  }

  #ofRelocation(
    view: InstructionView,
    part: ProgramPart,
    index: number,
    resolved: ResolvedRelocation,
  ): Omit<ReadMismatch, 'program' | 'line'>[] {
    const { local, target } = resolved;
    if (local === undefined || target === undefined || local.found.loadBytes === 0) return [];
    const field = target.path;
    const kindOfAccess = view.class(index);
    if (kindOfAccess === CLASS.ldx || kindOfAccess === CLASS.stx || kindOfAccess === CLASS.st) {
      if (!resolved.resizeUnsafe) return [];
      const readBytes = view.memoryBytes(index);
      const fieldBytes = target.found.loadBytes;
      const reason = `${readBytes} bytes of \`${field}\`, which has ${fieldBytes} in this kernel and is signed: libbpf cannot adjust the access, and makes it invalid`;
      return [{ kind: 'unsafe_resize', instruction: index, field, readBytes, fieldBytes, reason }];
    }
    const localBytes = wholeBytes(local.spec);
    const fieldBytes = wholeBytes(target.spec);
    if (localBytes === fieldBytes) return [];
    const reads = readsThrough(view, index, (at) => this.#at(part, at).length > 0);
    const sizeAsked = this.#sizeAsked.has(`${resolved.relocation.typeId} ${resolved.relocation.access}`);
    return reads.flatMap((read) => {
      if (sizeAsked && view.class(read.instruction) === CLASS.ldx) return [];
      const kind = judge(read, localBytes, fieldBytes, isScalar(target.spec));
      if (kind === undefined || read.bytes === undefined) return [];
      const readBytes = read.bytes;
      const reason = `${readBytes} bytes are read of \`${field}\`, which has ${fieldBytes} in this kernel: ${ADVICE[kind]}`;
      return [{ kind, instruction: read.instruction, field, readBytes, fieldBytes, reason }];
    });
  }
}

const ADVICE = {
  past_end: 'the value is garbage; use BPF_CORE_READ_BITFIELD_PROBED, or let the compiler read the field directly',
  truncated: 'large values are cut off; use BPF_CORE_READ_BITFIELD_PROBED, or let the compiler read the field directly',
} as const;

function judge(
  { bytes }: AddressRead,
  localBytes: number,
  fieldBytes: number,
  scalar: boolean,
): 'past_end' | 'truncated' | undefined {
  if (bytes === undefined || bytes > localBytes) return undefined;
  if (bytes > fieldBytes) return 'past_end';
  return scalar && bytes === localBytes && bytes < fieldBytes ? 'truncated' : undefined;
}

function wholeBytes(spec: AccessSpec): number {
  return Number(specValue(spec, 'field_byte_size').value);
}

function isScalar(spec: AccessSpec): boolean {
  const type = typeAt(spec.btf, spec);
  return type.kind === 'int' || type.kind === 'ptr' || type.kind === 'enum' || type.kind === 'enum64';
}

function typeAt(btf: Btf, spec: AccessSpec): BtfType {
  const last = spec.accessors.at(-1);
  if (last === undefined) return btf.typeById(0);
  if (last.name === undefined) return btf.resolve(last.typeId);
  const member = (btf.typeById(last.typeId) as CompositeType).members[last.index];
  return btf.resolve(member?.typeId ?? 0);
}
