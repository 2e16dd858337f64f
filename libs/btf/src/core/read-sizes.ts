import { INSTRUCTION_BYTES } from '../object/programs.js';
import type { ProgramPart } from '../object/code-table.js';
import type { SourceLine } from '../object/line-table.js';
import type { BpfObjectFile } from '../object/types.js';
import type { Btf } from '../types/btf.js';
import { LONG_NAMES } from '../types/long-names.js';
import type { BtfType, CompositeType } from '../types/types.js';
import { CLASS, InstructionView } from './instruction.js';
import type { LiveCode } from './live-code.js';
import type { PatchedProgram } from './patch.js';
import { liveCodeOf, patchInstructions } from './patch.js';
import type { AddressRead, Surroundings } from './reads.js';
import { branchTargets, readsThrough } from './reads.js';
import { StepBudget } from './step-budget.js';
import type { CoreResolution, ResolvedRelocation } from './resolve.js';
import { resolveCoreRelocations } from './resolve.js';
import type { AccessSpec } from './spec.js';
import { specValue } from './value.js';

const DIMENSIONS_MAX = 64;
const FOLLOW_STEPS_MAX = 20_000_000;

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
  readonly isPointer: boolean;
  readonly reason: string;
}

/**
 * Reads whose size is not the field's on this kernel. libbpf adjusts a plain load of a pointer or an unsigned integer by
 * itself; it cannot see `bpf_probe_read_kernel` (BPF_CORE_READ), which reads as many bytes as the field had where the program
 * was compiled. Programs that ask for the size (BPF_CORE_READ_BITFIELD_PROBED) are fine and are not named.
 */
export function findReadMismatches(object: BpfObjectFile, resolution: CoreResolution): ReadMismatch[] {
  return new Search(object, resolution, fieldInKernel).all();
}

/**
 * Reads of pointers and `long`s that would be mismatches on any kernel of 32 bits, found without one: by what the object's own
 * types are there. Empty for an object that was itself compiled for 32-bit types.
 */
export function findLongReads(object: BpfObjectFile): ReadMismatch[] {
  const own = resolveCoreRelocations(object, object.btf);
  const relocations = own.relocations.map((resolved) => {
    if (resolved.relocation.kind !== 'field_byte_size') return resolved;
    const there = fieldOf32Bits(resolved);
    return there === undefined ? resolved : { ...resolved, value: BigInt(there.wholeBytes) };
  });
  return new Search(object, { ...own, relocations }, fieldOf32Bits).all();
}

/** A field as the program will find it. */
interface FieldThere {
  readonly path: string;
  readonly wholeBytes: number;
  /** Of one element, when it is an array. */
  readonly loadBytes: number;
  readonly type: BtfType;
  readonly resizeUnsafe: boolean;
  readonly where: string;
}

type Finder = (resolved: ResolvedRelocation) => FieldThere | undefined;

function fieldInKernel({ target, resizeUnsafe }: ResolvedRelocation): FieldThere | undefined {
  if (target === undefined) return undefined;
  const { path, spec, found } = target;
  const type = typeAt(spec);
  return {
    path,
    wholeBytes: wholeBytes(spec),
    loadBytes: found.loadBytes,
    type,
    resizeUnsafe,
    where: 'in this kernel',
  };
}

const BYTES_OF_32_BITS = 4;

function fieldOf32Bits({ local }: ResolvedRelocation): FieldThere | undefined {
  if (local === undefined) return undefined;
  const { btf } = local.spec;
  const type = typeAt(local.spec);
  const element = elementOf(btf, type);
  const isLong = element.kind === 'int' && LONG_NAMES.has(element.name);
  const bytes = btf.sizeOf(element.id);
  if ((element.kind !== 'ptr' && !isLong) || bytes <= BYTES_OF_32_BITS) return undefined;
  return {
    path: local.path,
    wholeBytes: (wholeBytes(local.spec) / bytes) * BYTES_OF_32_BITS,
    loadBytes: BYTES_OF_32_BITS,
    type,
    resizeUnsafe: element.kind === 'int' && element.signed,
    where: 'on kernels of 32 bits',
  };
}

class Search {
  readonly #byPlace = new Map<string, ResolvedRelocation[]>();
  readonly #patched: ReadonlyMap<string, PatchedProgram>;
  readonly #steps = new StepBudget(FOLLOW_STEPS_MAX, 'following reads');

  constructor(
    readonly object: BpfObjectFile,
    readonly resolution: CoreResolution,
    readonly find: Finder,
  ) {
    for (const resolved of resolution.relocations) {
      const { section, offset } = resolved.relocation;
      const place = `${section}\0${offset}`;
      const before = this.#byPlace.get(place);
      if (before === undefined) this.#byPlace.set(place, [resolved]);
      else before.push(resolved);
    }
    const { programs } = patchInstructions(object, resolution);
    this.#patched = new Map(programs.map((program) => [program.name, program]));
  }

  all(): ReadMismatch[] {
    return this.object.programs.flatMap(({ name }) => {
      const parts = this.object.code.partsOf(name) ?? [];
      const code = this.#patched.get(name)?.instructions ?? new Uint8Array();
      // What a program does where the kernel answers otherwise is none of this kernel's business.
      const live = liveCodeOf(new InstructionView(code, this.object.littleEndian), parts);
      return parts.flatMap((part) => this.#inPart(name, part, live));
    });
  }

  #inPart(program: string, part: ProgramPart, live: LiveCode): ReadMismatch[] {
    const view = new InstructionView(part.bytes, this.object.littleEndian);
    const found: ReadMismatch[] = [];
    let around: Surroundings | undefined;
    for (let index = 0; index < part.instructionCount; index += 1) {
      for (const resolved of this.#at(part, index)) {
        const field = resolved.relocation.kind === 'field_byte_offset' ? this.find(resolved) : undefined;
        if (field === undefined || !live.isLive(part.first + index)) continue;
        around ??= this.#around(view, part, live);
        for (const mismatch of ofRelocation(around, index, resolved, field)) {
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

  #around(view: InstructionView, part: ProgramPart, live: LiveCode): Surroundings {
    return {
      view,
      isRelocated: (at) => this.#at(part, at).length > 0,
      next: (at) => live.next(part.first + at).map((target) => target - part.first),
      targets: branchTargets(view),
      steps: this.#steps,
    };
  }
}

function ofRelocation(
  around: Surroundings,
  index: number,
  { local }: ResolvedRelocation,
  there: FieldThere,
): Omit<ReadMismatch, 'program' | 'line'>[] {
  if (local === undefined || local.found.loadBytes === 0) return [];
  const { path: field, where, type } = there;
  const isPointer = type.kind === 'ptr';
  const kindOfAccess = around.view.class(index);
  if (kindOfAccess === CLASS.ldx || kindOfAccess === CLASS.stx || kindOfAccess === CLASS.st) {
    if (!there.resizeUnsafe) return [];
    const readBytes = around.view.memoryBytes(index);
    const fieldBytes = there.loadBytes;
    const reason = `${readBytes} bytes of \`${field}\`, which has ${fieldBytes} ${where}: libbpf adjusts only pointers and unsigned integers, and makes this access invalid`;
    return [{ kind: 'unsafe_resize', instruction: index, field, readBytes, fieldBytes, isPointer, reason }];
  }
  const localBytes = wholeBytes(local.spec);
  const fieldBytes = there.wholeBytes;
  if (localBytes === fieldBytes) return [];
  return readsThrough(index, around).flatMap((read) => {
    const kind = judge(read, localBytes, fieldBytes, SCALAR_KINDS.has(type.kind));
    if (kind === undefined || read.bytes === undefined) return [];
    const readBytes = read.bytes;
    const advice = `${CONSEQUENCE[kind]}; ${isPointer ? ADVICE.pointer : ADVICE.value}`;
    const reason = `${readBytes} bytes are read of \`${field}\`, which has ${fieldBytes} ${where}: ${advice}`;
    return [{ kind, instruction: read.instruction, field, readBytes, fieldBytes, isPointer, reason }];
  });
}

const CONSEQUENCE = { past_end: 'the value is garbage', truncated: 'large values are cut off' } as const;
const ADVICE = {
  value: 'use BPF_CORE_READ_BITFIELD_PROBED, or let the compiler read the field directly',
  // clang does not take a pointer as a bit-field.
  pointer: 'read bpf_core_field_size() bytes, or let the compiler read the field directly',
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

const SCALAR_KINDS: ReadonlySet<string> = new Set(['int', 'ptr', 'enum', 'enum64']);

/** The type of the field that a path leads to, without typedefs. */
function typeAt({ btf, accessors }: AccessSpec): BtfType {
  const last = accessors.at(-1);
  if (last === undefined) return btf.typeById(0);
  if (last.name === undefined) return btf.resolve(last.typeId);
  const member = (btf.typeById(last.typeId) as CompositeType).members[last.index];
  return btf.resolve(member?.typeId ?? 0);
}

function elementOf(btf: Btf, type: BtfType): BtfType {
  let element = type;
  for (let dimension = 0; element.kind === 'array' && dimension < DIMENSIONS_MAX; dimension += 1) {
    element = btf.resolve(element.typeId);
  }
  return element;
}
