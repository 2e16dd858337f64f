import { BtfError } from '../error.js';
import type { ProgramPart } from '../object/code-table.js';
import { INSTRUCTION_BYTES } from '../object/programs.js';
import type { BpfObjectFile } from '../object/types.js';
import { CLASS, InstructionView } from './instruction.js';
import { LiveCode, type Place } from './live-code.js';
import type { CoreResolution, ResolvedRelocation } from './resolve.js';

const OFFSET_MAX = 0x7fff;
/** A kernel takes a million in one program; an object's programs may share subprograms, and each gets its own copy. */
const INSTRUCTIONS_MAX = 2_000_000;

/** One program as the loader would hand it to the kernel, as far as CO-RE decides it. */
export interface PatchedProgram {
  readonly name: string;
  /** Instructions of the program and of the subprograms appended to it; references to maps and data are still open. */
  readonly instructions: Uint8Array;
  /** Numbers of the instructions that became a poisonous call. */
  readonly poisoned: readonly number[];
  /** Those of them that no constant keeps from running: no verifier accepts the program. */
  readonly reachablePoison: readonly number[];
}

/** A relocation that does not fit its instruction, or was refused: the loader refuses the object. */
export interface PatchRefusal {
  readonly resolved: ResolvedRelocation;
  readonly reason: string;
}

export interface PatchResult {
  readonly programs: readonly PatchedProgram[];
  /** Empty when the object would get as far as the verifier. */
  readonly refusals: readonly PatchRefusal[];
}

/** What read-only sections hold when the object is loaded, by their names: parameters are written into them before. */
export type ConstantData = ReadonlyMap<string, Uint8Array>;

const NO_CONSTANTS: ConstantData = new Map();

/**
 * Applies a resolution to copies of the object's programs. Without `constants`, parameters count as anything.
 * @throws BtfError BTF_LIMIT
 */
export function patchInstructions(
  object: BpfObjectFile,
  resolution: CoreResolution,
  constants: ConstantData = NO_CONSTANTS,
): PatchResult {
  const byPlace = new Map<string, ResolvedRelocation[]>();
  for (const resolved of resolution.relocations) {
    const { section, offset } = resolved.relocation;
    const place = `${section}\0${offset}`;
    const list = byPlace.get(place);
    if (list === undefined) byPlace.set(place, [resolved]);
    else list.push(resolved);
  }
  const refusals = new Map<ResolvedRelocation, string>();
  for (const resolved of resolution.relocations) {
    if (resolved.outcome === 'refused') refusals.set(resolved, resolved.reason ?? 'refused');
  }
  checkInstructions(object);
  const programs = object.programs.map(({ name }) => patchProgram(object, name, byPlace, refusals, constants));
  return { programs, refusals: [...refusals].map(([resolved, reason]) => ({ resolved, reason })) };
}

function checkInstructions(object: BpfObjectFile): void {
  let count = 0;
  for (const { name } of object.programs) {
    for (const part of object.code.partsOf(name) ?? []) count += part.instructionCount;
    if (count > INSTRUCTIONS_MAX) {
      throw new BtfError('BTF_LIMIT', `the programs have more than ${INSTRUCTIONS_MAX} instructions together`);
    }
  }
}

function patchProgram(
  object: BpfObjectFile,
  name: string,
  byPlace: ReadonlyMap<string, readonly ResolvedRelocation[]>,
  refusals: Map<ResolvedRelocation, string>,
  constants: ConstantData,
): PatchedProgram {
  const parts = object.code.partsOf(name) ?? [];
  const count = parts.reduce((sum, part) => sum + part.instructionCount, 0);
  const instructions = new Uint8Array(count * INSTRUCTION_BYTES);
  const view = new InstructionView(instructions, object.littleEndian);
  const poisoned: number[] = [];
  for (const part of parts) {
    instructions.set(part.bytes, part.first * INSTRUCTION_BYTES);
    for (let index = 0; index < part.instructionCount; index += 1) {
      const at = part.first + index;
      for (const resolved of byPlace.get(`${part.section}\0${part.offset + index * INSTRUCTION_BYTES}`) ?? []) {
        if (resolved.outcome === 'refused') continue;
        const refusal = patchInstruction(view, at, resolved);
        if (refusal !== undefined) refusals.set(resolved, refusal);
        if (view.isPoison(at)) poisoned.push(at);
      }
    }
    for (const [at, target] of part.calls) if (!view.isPoison(at)) view.setImmediate(at, target - at - 1);
  }
  const live = poisoned.length === 0 ? undefined : liveCodeOf(view, parts, constants);
  return { name, instructions, poisoned, reachablePoison: poisoned.filter((at) => live?.isLive(at)) };
}

/** Which instructions of a patched program can run: each of its functions may be called. */
export function liveCodeOf(
  view: InstructionView,
  parts: readonly ProgramPart[],
  constants: ConstantData = NO_CONSTANTS,
): LiveCode {
  const addresses = new Map<number, Place | undefined>();
  for (const { references } of parts) {
    for (const [at, { section, offset }] of references) {
      const bytes = section === undefined ? undefined : constants.get(section);
      addresses.set(at, bytes && { bytes, offset });
    }
  }
  return new LiveCode(
    view,
    parts.map(({ first }) => first),
    addresses,
  );
}

/** Returns why it cannot be done, if so. */
function patchInstruction(view: InstructionView, at: number, resolved: ResolvedRelocation): string | undefined {
  if (resolved.outcome === 'poisoned') {
    poison(view, at);
    return undefined;
  }
  switch (view.class(at)) {
    case CLASS.alu:
    case CLASS.alu64:
      return patchImmediate(view, at, resolved);
    case CLASS.ldx:
    case CLASS.st:
    case CLASS.stx:
      return patchAccess(view, at, resolved);
    case CLASS.ld:
      return patchImmediate64(view, at, resolved);
    default:
      return `an instruction of opcode ${view.opcode(at)} cannot be relocated`;
  }
}

function poison(view: InstructionView, at: number): void {
  if (view.isLoadImmediate64(at) && at + 1 < view.count) view.poison(at + 1);
  view.poison(at);
}

function patchImmediate(view: InstructionView, at: number, { value, local }: ResolvedRelocation): string | undefined {
  if (!view.usesImmediate(at)) return 'the instruction has no immediate to relocate';
  const expected = local?.found.value ?? 0n;
  if (local?.found.validate === true && BigInt.asUintN(64, BigInt(view.immediate(at))) !== expected) {
    return `the instruction holds ${view.immediate(at)}, and the object's types say ${expected}`;
  }
  view.setImmediate(at, Number(BigInt.asIntN(32, value ?? 0n)));
  return undefined;
}

function patchAccess(view: InstructionView, at: number, resolved: ResolvedRelocation): string | undefined {
  const { value = 0n, local, target } = resolved;
  const expected = local?.found.value ?? 0n;
  if (local?.found.validate === true && BigInt.asUintN(64, BigInt(view.offset(at))) !== expected) {
    return `the instruction has the offset ${view.offset(at)}, and the object's types say ${expected}`;
  }
  if (value > OFFSET_MAX) return `the offset ${value} does not fit into an instruction`;
  if (resolved.resizeUnsafe) {
    poison(view, at);
    return undefined;
  }
  view.setOffset(at, Number(value));
  const from = local?.found.loadBytes ?? 0;
  const to = target?.found.loadBytes ?? 0;
  if (from === to) return undefined;
  if (view.memoryBytes(at) !== from)
    return `the instruction touches ${view.memoryBytes(at)} bytes of a field of ${from}`;
  return view.setMemoryBytes(at, to) ? undefined : `no instruction can touch a field of ${to} bytes`;
}

function patchImmediate64(
  view: InstructionView,
  at: number,
  { value = 0n, local }: ResolvedRelocation,
): string | undefined {
  const whole = view.isLoadImmediate64(at) && at + 1 < view.count && view.opcode(at + 1) === 0;
  if (!whole || view.source(at) !== 0 || view.offset(at) !== 0 || !view.isBare(at + 1)) {
    return 'the 64-bit immediate has an unexpected form';
  }
  const held = (BigInt(view.immediate(at + 1) >>> 0) << 32n) | BigInt(view.immediate(at) >>> 0);
  const expected = local?.found.value ?? 0n;
  if (local?.found.validate === true && held !== expected) {
    return `the instruction holds ${held}, and the object's types say ${expected}`;
  }
  view.setImmediate(at, Number(BigInt.asIntN(32, value)));
  view.setImmediate(at + 1, Number(BigInt.asIntN(32, value >> 32n)));
  return undefined;
}
