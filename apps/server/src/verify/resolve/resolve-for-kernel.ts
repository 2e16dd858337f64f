import { basename } from 'node:path';
import {
  accessLineAt,
  findReadMismatches,
  kernelTypeNeeds,
  patchInstructions,
  readObject,
  resolveCoreRelocations,
  type BpfObjectFile,
  type Btf,
  type ConstantData,
  type CoreResolution,
  type PatchedProgram,
} from '@bpfleet/btf';
import { readSentence } from '../lint/read-sizes.js';

/**
 * - `refusal`: libbpf refuses the object there;
 * - `poison`: what the program uses is not in this kernel, and no constant keeps the program from getting there: the verifier
 *   refuses it, unless a parameter (`const volatile`) turns it away;
 * - `type_elsewhere`: the same, of a type that this kernel itself has not: a device that has loaded a module with it finds it there.
 */
export interface Unresolved {
  readonly kind: 'refusal' | 'poison' | 'type_elsewhere';
  readonly program: string | undefined;
  readonly sentence: string;
}

/** Loads, and reads something else than what the field holds. */
export interface WrongRead {
  readonly program: string;
  readonly field: string;
  readonly sentence: string;
}

/** A hook or symbol that has to be found by its type id in the running kernel, which shows none. */
export interface TypeIdNeed {
  readonly program: string | undefined;
  readonly sentence: string;
}

export interface KernelResolution {
  /** Nothing is against it: every relocation has its answer, and every read its size. */
  readonly ok: boolean;
  readonly unresolved: readonly Unresolved[];
  readonly mismatches: readonly WrongRead[];
  readonly needs: readonly TypeIdNeed[];
}

export interface KernelShown {
  /** Whether the kernel shows its BTF itself; without it nothing can attach by type id. */
  readonly showsBtf: boolean;
  /** What its read-only data holds, where that is known: parameters are part of it, and count as anything without. */
  readonly constants?: ConstantData;
}

const LISTED_MAX = 50;
const INSTRUCTION_BYTES = 8;

/**
 * What a kernel would make of an object, known from its types alone (DESIGN §4.3). Pure.
 * @throws BtfError for an object or types that cannot be read
 */
export function resolveForKernel(
  objectBytes: Uint8Array,
  btf: Btf,
  { showsBtf, constants }: KernelShown = { showsBtf: true },
): KernelResolution {
  const object = readObject(objectBytes);
  const resolution = resolveCoreRelocations(object, btf);
  const patched = patchInstructions(object, resolution, constants);
  const isLoaded = loadedOf(object);
  const refusals = patched.refusals
    .filter(({ resolved }) => isLoaded(resolved.program))
    .map(({ resolved: { program, instruction }, reason }): Unresolved => {
      return { kind: 'refusal', program, sentence: sentenceOf(object, program, instruction, reason) };
    });
  const programs = patched.programs.filter(({ name }) => isLoaded(name));
  const unresolved = [...refusals, ...poisons(object, resolution, programs, showsBtf)];
  const reads = refusals.length > 0 ? [] : wrongReads(object, resolution);
  const mismatches = reads.filter(({ program }) => isLoaded(program));
  const needs = showsBtf ? [] : typeIdNeeds(object);
  return {
    ok: unresolved.length === 0 && mismatches.length === 0 && needs.length === 0,
    unresolved: unresolved.slice(0, LISTED_MAX),
    mismatches: mismatches.slice(0, LISTED_MAX),
    needs: needs.slice(0, LISTED_MAX),
  };
}

/** A program whose section begins with `?` is left out unless somebody asks for it, and no agent does: it decides nothing. */
function loadedOf(object: BpfObjectFile): (program: string | undefined) => boolean {
  const optional = new Set(object.programs.filter(({ section }) => section.startsWith('?')).map(({ name }) => name));
  return (program) => program === undefined || !optional.has(program);
}

interface Missing {
  readonly kind: 'poison' | 'type_elsewhere';
  readonly reason: string;
}

const SOMETHING_MISSING: Missing = { kind: 'poison', reason: 'it uses what this kernel does not have' };

/**
 * One for each thing that is missing in each program, however often it is used, with the line of the first of these. Where libbpf goes
 * by the types that the kernel shows it looks among those of its modules for what is not there (bpf_core_find_cands), and not
 * where it was given others.
 */
function poisons(
  object: BpfObjectFile,
  { relocations }: CoreResolution,
  programs: readonly PatchedProgram[],
  showsBtf: boolean,
): Unresolved[] {
  const missing = new Map<string, Missing>();
  for (const { relocation, outcome, resizeUnsafe, typeAbsent, reason, target } of relocations) {
    const place = `${relocation.section}\0${relocation.offset}`;
    if (outcome === 'poisoned') {
      missing.set(place, {
        kind: typeAbsent && showsBtf ? 'type_elsewhere' : 'poison',
        reason: reason ?? SOMETHING_MISSING.reason,
      });
    } else if (resizeUnsafe) {
      missing.set(place, { kind: 'poison', reason: `\`${target?.path}\` has another size in this kernel` });
    }
  }
  const found = new Map<string, Unresolved>();
  for (const { name, reachablePoison } of programs) {
    const parts = object.code.partsOf(name) ?? [];
    for (const at of reachablePoison) {
      const part = parts.find(({ first, instructionCount }) => at >= first && at < first + instructionCount);
      const place = part && `${part.section}\0${part.offset + (at - part.first) * INSTRUCTION_BYTES}`;
      const { kind, reason } = missing.get(place ?? '') ?? SOMETHING_MISSING;
      const key = `${name}\0${reason}`;
      if (found.has(key)) continue;
      found.set(key, { kind, program: name, sentence: sentenceOf(object, name, at, reason) });
    }
  }
  return [...found.values()];
}

function wrongReads(object: BpfObjectFile, resolution: CoreResolution): WrongRead[] {
  return findReadMismatches(object, resolution).map((read) => ({
    program: read.program,
    field: read.field,
    sentence: readSentence(read, 'in this kernel'),
  }));
}

function typeIdNeeds(object: BpfObjectFile): TypeIdNeed[] {
  const { programs, symbols } = kernelTypeNeeds(object);
  return [
    ...programs.map(({ name, section }) => ({
      program: name,
      sentence: `Program ${name} (${section}) attaches by the kernel's own BTF, which this kernel does not show.`,
    })),
    ...symbols.map((symbol) => ({
      program: undefined,
      sentence: `The kernel's ${symbol} is used by its type, and this kernel shows no BTF.`,
    })),
  ];
}

/** With the line, where the object tells it. */
function sentenceOf(object: BpfObjectFile, program: string | undefined, instruction: number, reason: string): string {
  if (program === undefined) return `The object: ${reason}.`;
  const line = accessLineAt(object, program, instruction);
  const place = line === undefined || line.line === 0 ? '' : `, ${basename(line.file)}:${line.line}`;
  return `Program ${program}${place}: ${reason}.`;
}
