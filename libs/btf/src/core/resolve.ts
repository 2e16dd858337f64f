import { BtfError } from '../error.js';
import type { BpfObjectFile } from '../object/types.js';
import { INSTRUCTION_BYTES } from '../object/programs.js';
import type { Btf } from '../types/btf.js';
import type { BtfKind } from '../types/types.js';
import { explainMismatch, explainNoType } from './explain.js';
import type { MatchResult } from './match.js';
import { matchSpec } from './match.js';
import { essentialName } from './names.js';
import type { Relocation } from './relocation.js';
import type { AccessSpec } from './spec.js';
import { parseSpec, SpecError, specPath } from './spec.js';
import { StepBudget } from './step-budget.js';
import type { SpecValue } from './value.js';
import { mayResize, missingValue, specValue } from './value.js';

/** A probe has some hundreds; each is looked for among all types of its name. */
const RELOCATIONS_MAX = 100_000;
const CANDIDATES_MAX = 4096;
/** Members, enumerators and types compared for one object: thousands of times what a large one needs. */
const STEPS_MAX = 20_000_000;

/** What was found in the target. */
export interface RelocationTarget {
  readonly typeId: number;
  /** Such as `task_struct.__state`. */
  readonly path: string;
  readonly offsetBits: number;
  readonly spec: AccessSpec;
  readonly found: SpecValue;
}

/**
 * - `resolved`: the instruction gets `value`. For the kinds that ask whether something exists, 0 is an answer too.
 * - `poisoned`: the instruction becomes a call that no verifier accepts; harmless where it can never be reached.
 * - `refused`: the loader refuses the whole object.
 */
export type RelocationOutcome = 'resolved' | 'poisoned' | 'refused';

export interface ResolvedRelocation {
  readonly relocation: Relocation;
  /** The function of the object that holds the instruction; undefined when none does. */
  readonly program: string | undefined;
  /** Counted from the beginning of that function. */
  readonly instruction: number;
  readonly outcome: RelocationOutcome;
  /** 64 unsigned bits; undefined unless resolved. */
  readonly value: bigint | undefined;
  /** What the object's own types say. Undefined when the relocation cannot be understood. */
  readonly local: { readonly path: string; readonly spec: AccessSpec; readonly found: SpecValue } | undefined;
  readonly target: RelocationTarget | undefined;
  /** The field has another size in the target, and a load or store cannot be changed to it: there the instruction is poisoned. */
  readonly resizeUnsafe: boolean;
  /** Nothing of its kind and name is in the target or the modules that were given: another module may have it. */
  readonly typeAbsent: boolean;
  /** In words, when it is poisoned, refused, or the answer is that something does not exist. */
  readonly reason: string | undefined;
}

export interface ResolveOptions {
  /** Only relocations of these functions; all without it. */
  readonly programs?: Iterable<string>;
  /**
   * Split BTFs of modules that are loaded on that kernel, each read with the target as its base. Their types are looked at where
   * the kernel itself has none of that name.
   */
  readonly modules?: readonly Btf[];
}

/** All relocations of an object, against one kernel. */
export interface CoreResolution {
  readonly target: Btf;
  readonly relocations: readonly ResolvedRelocation[];
}

/**
 * Resolves an object's CO-RE relocations against a kernel's types, as libbpf 1.7 would when it loads the object there. Nothing
 * is thrown for a relocation that fails: its outcome and reason say so.
 * @throws BtfError BTF_LIMIT; BTF_INVALID when the kernel has the other byte order
 */
export function resolveCoreRelocations(
  object: BpfObjectFile,
  target: Btf,
  options: ResolveOptions = {},
): CoreResolution {
  if (object.littleEndian !== target.littleEndian) {
    const order = (little: boolean): string => (little ? 'little' : 'big');
    const message = `a ${order(object.littleEndian)}-endian object cannot run on a ${order(target.littleEndian)}-endian kernel`;
    throw new BtfError('BTF_INVALID', message);
  }
  if (object.coreRelocations.length > RELOCATIONS_MAX) {
    throw new BtfError('BTF_LIMIT', `more than ${RELOCATIONS_MAX} relocations`);
  }
  const modules = options.modules ?? [];
  if (modules.some(({ base }) => base !== target)) {
    throw new BtfError('BTF_INVALID', 'the BTF of a module was read with another base than this kernel');
  }
  const resolver = new Resolver(object, target, modules);
  const wanted = options.programs === undefined ? undefined : new Set(options.programs);
  const relocations: ResolvedRelocation[] = [];
  for (const relocation of object.coreRelocations) {
    const place = object.code.functionAt(relocation.section, relocation.offset);
    if (wanted !== undefined && !(place !== undefined && wanted.has(place.name))) continue;
    const instruction = (relocation.offset - (place?.offset ?? 0)) / INSTRUCTION_BYTES;
    relocations.push({ relocation, program: place?.name, instruction, ...resolver.resolve(relocation) });
  }
  return { target, relocations };
}

type Decision = Omit<ResolvedRelocation, 'relocation' | 'program' | 'instruction'>;
type Local = NonNullable<Decision['local']>;

/** A type of the kernel or of a module: ids of modules overlap. */
interface Candidate {
  readonly btf: Btf;
  readonly id: number;
}

class Resolver {
  /** Candidates that fitted once; later relocations of the same type look only at those, as in the loader. */
  readonly #candidates = new Map<number, readonly Candidate[]>();
  /** All types of a kind and name, for local types that share one. */
  readonly #called = new Map<string, readonly Candidate[]>();
  /** Why there is no type of a kind and name. */
  readonly #absent = new Map<string, string>();
  readonly #budget = new StepBudget(STEPS_MAX, 'resolving the relocations of this object');

  constructor(
    readonly object: BpfObjectFile,
    readonly target: Btf,
    readonly modules: readonly Btf[],
  ) {}

  resolve(relocation: Relocation): Decision {
    let local: Local | undefined;
    try {
      const spec = parseSpec(this.object.btf, relocation);
      local = { path: specPath(spec), spec, found: specValue(spec, relocation.kind) };
      return this.#decide(relocation, local);
    } catch (error) {
      if (this.#budget.isSpent || !(error instanceof SpecError || error instanceof BtfError)) throw error;
      return decision('refused', local, { reason: error.message });
    }
  }

  #decide(relocation: Relocation, local: Local): Decision {
    if (relocation.kind === 'type_id_local') return decision('resolved', local, { value: local.found.value });
    const name = this.object.btf.typeById(relocation.typeId).name;
    if (name === '') throw new SpecError('an anonymous type cannot be looked for');
    const candidates = this.#candidatesOf(relocation.typeId, name);
    let agreed: RelocationTarget | undefined;
    let mismatch: (Exclude<MatchResult, { spec: unknown }> & { readonly btf: Btf }) | undefined;
    const fitting: Candidate[] = [];
    for (const candidate of candidates) {
      const match = matchSpec(local.spec, relocation.kind, candidate.btf, candidate.id, this.#budget);
      if ('mismatch' in match) {
        mismatch ??= { ...match, btf: candidate.btf };
        continue;
      }
      const found = targetOf(match.spec, relocation);
      if (agreed !== undefined) checkAgreement(agreed, found);
      agreed ??= found;
      fitting.push(candidate);
    }
    if (agreed !== undefined) {
      this.#candidates.set(relocation.typeId, fitting);
      return this.#found(local, agreed);
    }
    const reason =
      mismatch === undefined ? this.#noType(local.spec) : explainMismatch(local.spec, mismatch.btf, mismatch.mismatch);
    const missing = missingValue(relocation.kind);
    if (missing === undefined) return decision('poisoned', local, { reason, typeAbsent: candidates.length === 0 });
    return decision('resolved', local, { value: missing.value, reason });
  }

  #found(local: Local, target: RelocationTarget): Decision {
    const { loadBytes, loadTypeId } = target.found;
    const resizeUnsafe =
      loadBytes !== local.found.loadBytes &&
      !mayResize(this.object.btf.resolve(local.found.loadTypeId), target.spec.btf.resolve(loadTypeId));
    return decision('resolved', local, { value: target.found.value, target, resizeUnsafe });
  }

  /** Looking in every kind for the name takes time where it has many types. */
  #noType(spec: AccessSpec): string {
    const { kind, name } = spec.btf.typeById(spec.rootTypeId);
    const key = `${kind} ${essentialName(name)}`;
    const reason = this.#absent.get(key) ?? explainNoType(spec, this.target);
    this.#absent.set(key, reason);
    return reason;
  }

  #candidatesOf(typeId: number, name: string): readonly Candidate[] {
    const known = this.#candidates.get(typeId);
    if (known !== undefined) return known;
    const { kind } = this.object.btf.typeById(typeId);
    const key = `${kind} ${essentialName(name)}`;
    const found = this.#called.get(key) ?? this.#candidatesCalled(kind, name);
    this.#called.set(key, found);
    if (found.length > CANDIDATES_MAX)
      throw new BtfError('BTF_LIMIT', `more than ${CANDIDATES_MAX} types are called ${name}`);
    this.#candidates.set(typeId, found);
    return found;
  }

  /** As in the loader: a module's types count only where the kernel itself has none of that name. */
  #candidatesCalled(kind: BtfKind, name: string): readonly Candidate[] {
    const own = candidatesIn(this.target, kind, name);
    const base = this.target.base === undefined ? own : own.filter(({ id }) => id < this.target.firstId);
    if (base.length > 0) return base;
    if (own.length > 0) return own;
    return this.modules.flatMap((module) => candidatesIn(module, kind, name).filter(({ id }) => id >= module.firstId));
  }
}

function candidatesIn(btf: Btf, kind: BtfKind, name: string): Candidate[] {
  const kinds = kind === 'enum' || kind === 'enum64' ? (['enum', 'enum64'] as const) : [kind];
  const ids = kinds.flatMap((each) => btf.idsByEssentialName(each, essentialName(name)));
  return ids.toSorted((a, b) => a - b).map((id) => ({ btf, id }));
}

function targetOf(spec: AccessSpec, { kind }: Relocation): RelocationTarget {
  const found = specValue(spec, kind);
  return { typeId: spec.rootTypeId, path: specPath(spec), offsetBits: spec.offsetBits, spec, found };
}

/** The kernel may have several types of one name; unless all give the same answer, none can be trusted. */
function checkAgreement(a: RelocationTarget, b: RelocationTarget): void {
  if (a.offsetBits !== b.offsetBits) {
    throw new SpecError(
      `the kernel has several \`${a.path}\`, at different offsets (bits ${a.offsetBits} and ${b.offsetBits})`,
    );
  }
  if (a.found.value !== b.found.value) {
    throw new SpecError(`the kernel has several \`${a.path}\`, which give ${a.found.value} and ${b.found.value}`);
  }
}

function decision(outcome: RelocationOutcome, local: Local | undefined, more: Partial<Decision>): Decision {
  return {
    outcome,
    local,
    value: undefined,
    target: undefined,
    resizeUnsafe: false,
    typeAbsent: false,
    reason: undefined,
    ...more,
  };
}
