import { BtfError } from '../error.js';
import type { BpfObjectFile } from '../object/types.js';
import type { Btf } from '../types/btf.js';
import type { BtfType, EnumType } from '../types/types.js';
import { writeBtf } from '../types/write.js';
import { findMember } from './match.js';
import type { ResolvedRelocation } from './resolve.js';
import { resolveCoreRelocations } from './resolve.js';
import type { AccessSpec } from './spec.js';
import { isFieldKind } from './spec.js';
import { StepBudget } from './step-budget.js';

/** A tailored BTF of a probe has some dozens; this is for objects that were made to do harm. */
const TYPES_MAX = 100_000;
const STEPS_MAX = 20_000_000;

/**
 * The least BTF with which an object gives the same instructions as with the target's whole BTF: for devices whose kernel has
 * none, by libbpf's `btf_custom_path`. It holds the types on the way to each field, with the members that are used at their
 * true offsets, and `long unsigned int`, from which a loader learns the size of pointers.
 *
 * What a type's id is in the running kernel (`bpf_core_type_id_kernel`) is the one answer that it changes: where a kernel has
 * no BTF there are no such ids.
 * @throws BtfError BTF_NOT_FOUND when libbpf would refuse the object on that kernel, BTF_LIMIT
 */
export function tailorBtf(object: BpfObjectFile, target: Btf): Uint8Array {
  const { relocations } = resolveCoreRelocations(object, target);
  const selection = new Selection(target);
  selection.keepPointerSize();
  for (const resolved of relocations) {
    if (resolved.outcome === 'refused') {
      throw new BtfError('BTF_NOT_FOUND', `the object cannot be relocated for this kernel: ${resolved.reason}`);
    }
    selection.keepRelocation(resolved);
  }
  return writeBtf(selection.types(), target.littleEndian);
}

class Selection {
  /** Types that are kept, by their id in the target: ids in the new BTF follow the order of insertion. */
  readonly #ids = new Map<number, number>([[0, 0]]);
  /** Members of composites and enumerators of enums that are kept, by type. */
  readonly #parts = new Map<number, Set<number>>();
  readonly #wholeDone = new Set<number>();
  readonly #budget = new StepBudget(STEPS_MAX, 'tailoring a BTF for this object');

  constructor(readonly target: Btf) {}

  keepPointerSize(): void {
    const long = this.target.longType();
    if (long !== undefined) this.#keep(long.id);
  }

  keepRelocation({ relocation, target }: ResolvedRelocation): void {
    if (target === undefined) return;
    if (isFieldKind(relocation.kind)) this.#keepField(target.spec);
    else if (relocation.kind === 'type_matches') this.#keepWhole(target.typeId, false);
    else if (target.spec.accessors.length > 0) this.#keepEnumerator(target.spec);
    else this.#keepShape(target.typeId);
  }

  types(): BtfType[] {
    return [...this.#ids.keys()].filter((id) => id !== 0).map((id) => this.#rewritten(this.target.typeById(id)));
  }

  #keepField(spec: AccessSpec): void {
    this.#keepChain(spec.rootTypeId);
    let typeId = this.target.resolve(spec.rootTypeId).id;
    for (const [at, { name }] of spec.accessors.entries()) {
      if (name === undefined) {
        const array = this.target.resolve(typeId);
        if (at > 0 && array.kind === 'array') typeId = array.typeId;
      } else {
        typeId = this.#keepMember(this.target.resolve(typeId).id, name);
      }
      typeId = this.target.resolve(typeId).id;
    }
  }

  /** Keeps a member and the anonymous composites in front of it; returns the member's type. */
  #keepMember(typeId: number, name: string): number {
    const found = findMember(this.target, typeId, name, this.#budget);
    if (found === undefined) throw new BtfError('BTF_NOT_FOUND', `type ${typeId} has no member ${name}`);
    for (const { holder, index } of found.via) this.#keepPart(holder.id, index);
    const { holder, index } = found.via.at(-1) as (typeof found.via)[number];
    const member = holder.members[index];
    const type = this.target.resolve(member?.typeId ?? 0);
    // An array of no elements is flexible only where it is the last member, which leaving others out must not change.
    if (type.kind === 'array' && type.count === 0 && index < holder.members.length - 1) {
      this.#keepPart(holder.id, holder.members.length - 1);
    }
    return member?.typeId ?? 0;
  }

  #keepPart(typeId: number, index: number): void {
    this.#keep(typeId);
    this.#partsOf(typeId).add(index);
    const type = this.target.typeById(typeId);
    if (type.kind === 'struct' || type.kind === 'union') this.#keepChain(type.members[index]?.typeId ?? 0);
  }

  #keepEnumerator(spec: AccessSpec): void {
    this.#keepChain(spec.rootTypeId);
    for (const { typeId, index } of spec.accessors) this.#keepPart(typeId, index);
  }

  /** A type, through its names and qualifiers and arrays; what a pointer points to is nobody's business. */
  #keepChain(id: number): void {
    let current = id;
    while (!this.#ids.has(current)) {
      this.#keep(current);
      const type = this.target.typeById(current);
      if (type.kind === 'array') this.#keepChain(type.indexTypeId);
      if (type.kind === 'ptr' || !('typeId' in type)) return;
      current = type.typeId;
    }
  }

  /** What a comparison by kind looks at: through pointers and functions, up to composites, without their members. */
  #keepShape(rootId: number): void {
    const pending = [rootId];
    const seen = new Set<number>();
    while (pending.length > 0) {
      const id = pending.pop() as number;
      if (seen.has(id)) continue;
      seen.add(id);
      this.#keep(id);
      this.#keepsPointee.add(id);
      pending.push(...shapeOf(this.target.typeById(id)));
    }
  }

  /** Types whose pointee is kept: pointers that only a field's type is made of point to void. */
  readonly #keepsPointee = new Set<number>();

  /** Everything that a strict match compares. */
  #keepWhole(rootId: number, behindPointer: boolean): void {
    const pending = [{ id: rootId, behindPointer }];
    while (pending.length > 0) {
      const next = pending.pop() as (typeof pending)[number];
      const key = next.id * 2 + (next.behindPointer ? 1 : 0);
      if (this.#wholeDone.has(key)) continue;
      this.#wholeDone.add(key);
      this.#keep(next.id);
      this.#keepsPointee.add(next.id);
      const type = this.target.typeById(next.id);
      const inside = next.behindPointer || type.kind === 'ptr';
      for (const id of shapeOf(type)) pending.push({ id, behindPointer: inside });
      if (type.kind === 'enum' || type.kind === 'enum64') this.#keepAllParts(type.id, type.values.length);
      if ((type.kind !== 'struct' && type.kind !== 'union') || next.behindPointer) continue;
      this.#keepAllParts(type.id, type.members.length);
      for (const { typeId } of type.members) pending.push({ id: typeId, behindPointer: false });
    }
  }

  #keepAllParts(typeId: number, count: number): void {
    const parts = this.#partsOf(typeId);
    for (let index = 0; index < count; index += 1) parts.add(index);
  }

  #partsOf(typeId: number): Set<number> {
    const known = this.#parts.get(typeId);
    if (known !== undefined) return known;
    const parts = new Set<number>();
    this.#parts.set(typeId, parts);
    return parts;
  }

  #keep(id: number): void {
    if (this.#ids.has(id)) return;
    if (this.#ids.size > TYPES_MAX) throw new BtfError('BTF_LIMIT', `more than ${TYPES_MAX} types are needed`);
    this.#ids.set(id, this.#ids.size);
  }

  /** References to types that are not kept become void. */
  #idOf(id: number): number {
    return this.#ids.get(id) ?? 0;
  }

  #rewritten(type: BtfType): BtfType {
    switch (type.kind) {
      case 'struct':
      case 'union':
        return {
          ...type,
          members: this.#keptOf(type.id, type.members).map((member) => ({
            ...member,
            typeId: this.#idOf(member.typeId),
          })),
        };
      case 'enum':
      case 'enum64':
        return { ...type, values: this.#keptOf(type.id, (type satisfies EnumType).values) };
      case 'array':
        return { ...type, typeId: this.#idOf(type.typeId), indexTypeId: this.#idOf(type.indexTypeId) };
      case 'func_proto': {
        const parameters = type.parameters.map((each) => ({ name: '', typeId: this.#idOf(each.typeId) }));
        return { ...type, returnTypeId: this.#idOf(type.returnTypeId), parameters };
      }
      case 'ptr':
        return { ...type, typeId: this.#keepsPointee.has(type.id) ? this.#idOf(type.typeId) : 0 };
      default:
        return 'typeId' in type ? ({ ...type, typeId: this.#idOf(type.typeId) } as BtfType) : type;
    }
  }

  #keptOf<T>(typeId: number, parts: readonly T[]): T[] {
    const kept = this.#parts.get(typeId);
    return parts.filter((_, index) => kept?.has(index) === true);
  }
}

/** The types that make up another one, other than members. */
function shapeOf(type: BtfType): number[] {
  if (type.kind === 'array') return [type.typeId, type.indexTypeId];
  if (type.kind === 'func_proto') return [type.returnTypeId, ...type.parameters.map(({ typeId }) => typeId)];
  return 'typeId' in type ? [type.typeId] : [];
}
