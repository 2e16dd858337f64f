import type { Btf } from '../types/btf.js';
import type { ArrayType, BtfType, EnumValue } from '../types/types.js';
import type { Relocation, RelocationKind } from './relocation.js';

/** libbpf's own limit on the length of an access path. */
export const SPEC_STEPS_MAX = 64;

const FIELD_KINDS: ReadonlySet<RelocationKind> = new Set([
  'field_byte_offset',
  'field_byte_size',
  'field_exists',
  'field_signed',
  'field_lshift_u64',
  'field_rshift_u64',
]);

export function isFieldKind(kind: RelocationKind): boolean {
  return FIELD_KINDS.has(kind);
}

export function isEnumKind(kind: RelocationKind): boolean {
  return kind === 'enumval_exists' || kind === 'enumval_value';
}

/**
 * One step that a program's author can see: a named member, an array element, or (as the only step) an enumerator.
 * Anonymous structs and unions are passed through without a step, because kernels add and remove them freely.
 */
export interface Accessor {
  /** The composite that has the member, the element type of an array, or the enum. */
  readonly typeId: number;
  readonly index: number;
  /** Absent for array elements. */
  readonly name?: string;
}

/** An access path through one BTF. */
export interface AccessSpec {
  readonly btf: Btf;
  readonly rootTypeId: number;
  readonly accessors: readonly Accessor[];
  readonly offsetBits: number;
}

/** Why a relocation cannot be understood at all; libbpf refuses the whole object for it. */
export class SpecError extends Error {}

/**
 * Reads the access path of a relocation against the object's own BTF.
 * @throws SpecError when the path does not fit the type
 */
export function parseSpec(btf: Btf, relocation: Relocation): AccessSpec {
  const { typeId, kind } = relocation;
  if (typeId >= btf.typeCount) throw new SpecError(`there is no type ${typeId} in the object`);
  if (!isFieldKind(kind) && !isEnumKind(kind)) {
    if (relocation.access !== '0') throw new SpecError(`a type relocation has the access path ${relocation.access}`);
    return { btf, rootTypeId: typeId, accessors: [], offsetBits: 0 };
  }
  const steps = stepsOf(relocation.access);
  const root = btf.resolve(typeId);
  const first = steps[0] as number;
  if (isEnumKind(kind)) return enumSpec(btf, relocation, root, steps);
  return new FieldPath(btf, typeId, root, first).walk(steps.slice(1));
}

function stepsOf(access: string): number[] {
  if (!/^\d{1,9}(:\d{1,9})*$/.test(access))
    throw new SpecError(`the access path ${JSON.stringify(access)} is malformed`);
  const steps = access.split(':').map(Number);
  if (steps.length > SPEC_STEPS_MAX) throw new SpecError(`an access path has more than ${SPEC_STEPS_MAX} steps`);
  return steps;
}

function enumSpec(btf: Btf, { typeId }: Relocation, root: BtfType, steps: readonly number[]): AccessSpec {
  const index = steps[0] as number;
  const value = enumValues(root)?.[index];
  if (value === undefined || steps.length > 1) throw new SpecError(`type ${typeId} has no enumerator ${index}`);
  return { btf, rootTypeId: typeId, accessors: [{ typeId: root.id, index, name: value.name }], offsetBits: 0 };
}

/** The enumerators of an enum of either width; undefined for other types. */
export function enumValues(type: BtfType): readonly EnumValue[] | undefined {
  return type.kind === 'enum' || type.kind === 'enum64' ? type.values : undefined;
}

class FieldPath {
  readonly #accessors: Accessor[];
  #offsetBits: number;

  constructor(
    readonly btf: Btf,
    readonly rootTypeId: number,
    readonly root: BtfType,
    first: number,
  ) {
    this.#accessors = [{ typeId: root.id, index: first }];
    this.#offsetBits = first === 0 ? 0 : first * btf.sizeOf(root.id) * 8;
  }

  walk(steps: readonly number[]): AccessSpec {
    let type = this.root;
    for (const step of steps) type = this.#step(type, step);
    return {
      btf: this.btf,
      rootTypeId: this.rootTypeId,
      accessors: this.#accessors,
      offsetBits: this.#offsetBits,
    };
  }

  #step(type: BtfType, index: number): BtfType {
    if (type.kind === 'struct' || type.kind === 'union') {
      const member = type.members[index];
      if (member === undefined) throw new SpecError(`${type.kind} ${type.name} has no member ${index}`);
      this.#offsetBits += member.offsetBits;
      if (member.name !== '') this.#accessors.push({ typeId: type.id, index, name: member.name });
      return this.btf.resolve(member.typeId);
    }
    if (type.kind !== 'array') throw new SpecError(`an access path goes into a ${type.kind}`);
    const flexible = isFlexibleArray(this.btf, this.#accessors.at(-1) as Accessor, type);
    if (!flexible && index >= type.count) throw new SpecError(`an array of ${type.count} has no element ${index}`);
    const element = this.btf.resolve(type.typeId);
    this.#accessors.push({ typeId: element.id, index });
    this.#offsetBits += index * this.btf.sizeOf(element.id) * 8;
    return element;
  }
}

/** An array of no elements that is the last member of its struct has as many elements as the program says. */
export function isFlexibleArray(btf: Btf, holder: Accessor, array: ArrayType): boolean {
  if (holder.name === undefined || array.count > 0) return false;
  const composite = btf.typeById(holder.typeId);
  return (composite.kind === 'struct' || composite.kind === 'union') && holder.index === composite.members.length - 1;
}

/** `task_struct.se.exec_start`, `sock.addrs[2]`: the path as a person would write it. */
export function specPath(spec: AccessSpec): string {
  const name = spec.btf.typeById(spec.rootTypeId).name || '(anonymous)';
  return spec.accessors.reduce((text, { name: member, index }, at) => {
    if (member !== undefined) return `${text}.${member}`;
    return at === 0 ? (index === 0 ? text : `${text}[${index}]`) : `${text}[${index}]`;
  }, name);
}
