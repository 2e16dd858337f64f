import type { Btf } from '../types/btf.js';
import type { CompositeType } from '../types/types.js';
import { fieldsCompatible, typesCompatible } from './compatible.js';
import { essentialName } from './names.js';
import type { Relocation } from './relocation.js';
import type { Accessor, AccessSpec } from './spec.js';
import { enumValues, isEnumKind, isFieldKind, isFlexibleArray, SPEC_STEPS_MAX, SpecError } from './spec.js';
import type { StepBudget } from './step-budget.js';
import { typesMatch } from './types-match.js';

/** Members looked at for one name: unnamed structs could double at every level, and one such type refuses one relocation. */
const MEMBERS_LOOKED_MAX = 100_000;

/** Where the same path cannot be walked any further; `at` is the number of the accessor. */
export interface Mismatch {
  readonly at: number;
  readonly why: 'no_member' | 'incompatible' | 'no_array' | 'too_short' | 'other_type' | 'no_enumerator';
  /** The type of the target in which the step was looked for. */
  readonly typeId: number;
  /** For `incompatible`: the type that the target's member has. For `too_short`: how many elements there are. */
  readonly found?: number;
}

export type MatchResult = { readonly spec: AccessSpec } | { readonly mismatch: Mismatch };

/**
 * Walks the local path through one candidate of the target.
 * @throws SpecError where the loader would give up, BtfError for a damaged target, BTF_LIMIT
 */
export function matchSpec(
  local: AccessSpec,
  kind: Relocation['kind'],
  target: Btf,
  targetId: number,
  budget: StepBudget,
): MatchResult {
  if (isFieldKind(kind)) return new FieldMatch(local, target, targetId, budget).walk();
  if (isEnumKind(kind)) return matchEnumerator(local, target, targetId, budget);
  const same =
    kind === 'type_matches'
      ? typesMatch(local.btf, local.rootTypeId, target, targetId, budget)
      : typesCompatible(local.btf, local.rootTypeId, target, targetId);
  if (!same) return { mismatch: { at: 0, why: 'other_type', typeId: targetId } };
  return { spec: { btf: target, rootTypeId: targetId, accessors: [], offsetBits: 0 } };
}

function matchEnumerator(local: AccessSpec, target: Btf, targetId: number, budget: StepBudget): MatchResult {
  const type = target.resolve(targetId);
  budget.spend(enumValues(type)?.length);
  const wanted = essentialName(local.accessors[0]?.name ?? '');
  const index = enumValues(type)?.findIndex(({ name }) => essentialName(name) === wanted) ?? -1;
  if (index < 0) return { mismatch: { at: 0, why: 'no_enumerator', typeId: type.id } };
  const name = enumValues(type)?.[index]?.name ?? '';
  const accessors = [{ typeId: type.id, index, name }];
  return { spec: { btf: target, rootTypeId: targetId, accessors, offsetBits: 0 } };
}

/** A member that was found by name, through anonymous structs and unions. */
export interface FoundMember {
  /** The way to it, the composite that has it last. */
  readonly via: readonly { readonly holder: CompositeType; readonly index: number }[];
  /** From the beginning of the composite that was asked. */
  readonly offsetBits: number;
}

/**
 * Finds a member in the order of declaration.
 * @throws SpecError when composites are nested too deeply
 */
export function findMember(
  btf: Btf,
  typeId: number,
  name: string,
  budget: StepBudget,
  stepsLeft: number = SPEC_STEPS_MAX,
): FoundMember | undefined {
  return new MemberSearch(btf, name, budget).in(typeId, stepsLeft);
}

class MemberSearch {
  #looked = 0;

  constructor(
    readonly btf: Btf,
    readonly name: string,
    readonly budget: StepBudget,
  ) {}

  in(typeId: number, stepsLeft: number): FoundMember | undefined {
    const holder = this.btf.resolve(typeId);
    if (holder.kind !== 'struct' && holder.kind !== 'union') return undefined;
    if (stepsLeft <= 0 && holder.members.length > 0) {
      throw new SpecError(`a path through the target has more than ${SPEC_STEPS_MAX} steps`);
    }
    for (const [index, member] of holder.members.entries()) {
      this.budget.spend();
      this.#looked += 1;
      if (this.#looked > MEMBERS_LOOKED_MAX)
        throw new SpecError(`a struct has more than ${MEMBERS_LOOKED_MAX} members`);
      if (member.name === this.name) return { via: [{ holder, index }], offsetBits: member.offsetBits };
      if (member.name !== '') continue;
      const inner = this.in(member.typeId, stepsLeft - 1);
      if (inner === undefined) continue;
      return { via: [{ holder, index }, ...inner.via], offsetBits: inner.offsetBits + member.offsetBits };
    }
    return undefined;
  }
}

class FieldMatch {
  readonly #accessors: Accessor[] = [];
  #offsetBits = 0;
  #steps = 0;
  #typeId: number;

  constructor(
    readonly local: AccessSpec,
    readonly target: Btf,
    readonly rootTypeId: number,
    readonly budget: StepBudget,
  ) {
    this.#typeId = rootTypeId;
  }

  walk(): MatchResult {
    for (let at = 0; at < this.local.accessors.length; at += 1) {
      const accessor = this.local.accessors[at] as Accessor;
      const mismatch = accessor.name === undefined ? this.#element(accessor, at) : this.#member(accessor, at);
      if (mismatch !== undefined) return { mismatch };
    }
    const { target, rootTypeId } = this;
    return { spec: { btf: target, rootTypeId, accessors: this.#accessors, offsetBits: this.#offsetBits } };
  }

  #member(accessor: Accessor, at: number): Mismatch | undefined {
    const type = this.target.resolve(this.#typeId);
    const composite = this.local.btf.typeById(accessor.typeId) as CompositeType;
    const localMember = composite.members[accessor.index];
    const found = findMember(this.target, type.id, accessor.name ?? '', this.budget, SPEC_STEPS_MAX - this.#steps);
    const last = found?.via.at(-1);
    const member = last?.holder.members[last.index];
    if (found === undefined || last === undefined || member === undefined || localMember === undefined) {
      return { at, why: 'no_member', typeId: type.id };
    }
    if (!fieldsCompatible(this.local.btf, localMember.typeId, this.target, member.typeId)) {
      return { at, why: 'incompatible', typeId: type.id, found: member.typeId };
    }
    this.#accessors.push({ typeId: last.holder.id, index: last.index, name: member.name });
    this.#offsetBits += found.offsetBits;
    this.#steps += found.via.length;
    this.#typeId = member.typeId;
    return undefined;
  }

  /** The first step counts whole objects of the root type; later ones go into arrays. */
  #element(accessor: Accessor, at: number): Mismatch | undefined {
    let element = this.target.resolve(this.#typeId);
    if (at > 0) {
      const array = element;
      if (array.kind !== 'array') return { at, why: 'no_array', typeId: array.id };
      const flexible = isFlexibleArray(this.target, this.#accessors.at(-1) as Accessor, array);
      if (!flexible && accessor.index >= array.count) {
        return { at, why: 'too_short', typeId: array.id, found: array.count };
      }
      element = this.target.resolve(array.typeId);
    }
    this.#steps += 1;
    if (this.#steps > SPEC_STEPS_MAX) {
      throw new SpecError(`a path through the target has more than ${SPEC_STEPS_MAX} steps`);
    }
    this.#typeId = element.id;
    this.#accessors.push({ typeId: element.id, index: accessor.index });
    if (accessor.index > 0) this.#offsetBits += accessor.index * this.target.sizeOf(element.id) * 8;
    return undefined;
  }
}
