import type { Btf } from '../types/btf.js';
import type { BtfType, CompositeType } from '../types/types.js';
import type { RelocationKind } from './relocation.js';
import type { AccessSpec } from './spec.js';
import { enumValues, SpecError } from './spec.js';

/** What a relocation asks for, in one BTF. */
export interface SpecValue {
  /** As 64 unsigned bits. */
  readonly value: bigint;
  /** Whether the compiler is sure to have put the local value into the instruction. */
  readonly validate: boolean;
  /** For an offset of a field that is no bitfield: bytes of the field, of one element when it is an array; else 0. */
  readonly loadBytes: number;
  /** The type that `loadBytes` is about. */
  readonly loadTypeId: number;
}

const MISSING_VALUES: Partial<Record<RelocationKind, bigint>> = {
  field_exists: 0n,
  type_exists: 0n,
  type_matches: 0n,
  type_size: 0n,
  type_id_target: 0n,
  enumval_exists: 0n,
};

/** The value for something that is not there; undefined when the instruction must never run (it is poisoned). */
export function missingValue(kind: RelocationKind): SpecValue | undefined {
  const value = MISSING_VALUES[kind];
  return value === undefined ? undefined : plain(value);
}

function plain(value: bigint, validate = true): SpecValue {
  return { value: BigInt.asUintN(64, value), validate, loadBytes: 0, loadTypeId: 0 };
}

/**
 * The value of a relocation for a path that was found.
 * @throws SpecError where the loader would refuse, BtfError BTF_LAYOUT for types without a size
 */
export function specValue(spec: AccessSpec, kind: RelocationKind): SpecValue {
  switch (kind) {
    case 'field_exists':
    case 'type_exists':
    case 'type_matches':
    case 'enumval_exists':
      return plain(1n);
    case 'type_id_local':
    case 'type_id_target':
      // Linking objects renumbers types, so what the compiler wrote says nothing.
      return plain(BigInt(spec.rootTypeId), false);
    case 'type_size':
      return plain(BigInt(spec.btf.sizeOf(spec.rootTypeId)));
    case 'enumval_value':
      return plain(enumValue(spec));
    default:
      return fieldValue(spec, kind);
  }
}

/** The narrow kind is sign-extended whatever the enum's sign, as the loader does it. */
function enumValue(spec: AccessSpec): bigint {
  const accessor = spec.accessors[0];
  const type = spec.btf.typeById(accessor?.typeId ?? 0);
  const value = enumValues(type)?.[accessor?.index ?? 0]?.value;
  if (value === undefined) throw new SpecError('there is no such enumerator');
  return type.kind === 'enum' ? BigInt.asIntN(32, value) : value;
}

function fieldValue(spec: AccessSpec, kind: RelocationKind): SpecValue {
  const last = spec.accessors.at(-1);
  if (last === undefined) throw new SpecError('the access path is empty');
  if (last.name === undefined) return elementValue(spec, kind, last.typeId);
  const composite = spec.btf.typeById(last.typeId) as CompositeType;
  const member = composite.members[last.index];
  if (member === undefined) throw new SpecError('there is no such member');
  const type = spec.btf.resolve(member.typeId);
  const place = placeOf(spec.btf, spec.offsetBits, type, member.bitfieldBits);
  const validate = member.bitfieldBits === 0;
  switch (kind) {
    case 'field_byte_offset':
      if (!validate) return plain(BigInt(place.start), false);
      return {
        ...plain(BigInt(place.start)),
        loadBytes: spec.btf.sizeOf(innermostElement(spec.btf, type.id)),
        loadTypeId: type.id,
      };
    case 'field_byte_size':
      return plain(BigInt(place.bytes), validate);
    case 'field_signed':
      return plain('signed' in type && type.signed ? 1n : 0n);
    case 'field_lshift_u64':
      return plain(BigInt(leftShift(place, spec.btf.littleEndian)), validate);
    case 'field_rshift_u64':
      return plain(BigInt(64 - place.bits));
    default:
      throw new SpecError(`a field cannot answer ${kind}`);
  }
}

function elementValue(spec: AccessSpec, kind: RelocationKind, typeId: number): SpecValue {
  if (kind === 'field_byte_offset') {
    const start = BigInt(Math.floor(spec.offsetBits / 8));
    return { ...plain(start), loadBytes: spec.btf.sizeOf(innermostElement(spec.btf, typeId)), loadTypeId: typeId };
  }
  if (kind === 'field_byte_size') return plain(BigInt(spec.btf.sizeOf(typeId)));
  throw new SpecError(`${kind} cannot be asked of an array element`);
}

/** Loads and stores touch one element, never a whole array. */
function innermostElement(btf: Btf, typeId: number): number {
  let type = btf.resolve(typeId);
  for (let step = 0; type.kind === 'array'; step += 1) {
    if (step > 64) throw new SpecError('an array has too many dimensions');
    type = btf.resolve(type.typeId);
  }
  return type.id;
}

interface Place {
  /** Bytes from the root type to the word that holds the field. */
  readonly start: number;
  readonly bytes: number;
  /** Bits from the beginning of the word, and the width. */
  readonly within: number;
  readonly bits: number;
}

/** A bitfield is read with the smallest aligned word that holds all of it, starting from its declared type. */
function placeOf(btf: Btf, offsetBits: number, type: BtfType, bitfieldBits: number): Place {
  if (bitfieldBits === 0) {
    const bytes = btf.sizeOf(type.id);
    const start = Math.floor(offsetBits / 8);
    return { start, bytes, within: offsetBits - start * 8, bits: bytes * 8 };
  }
  let bytes = 'bytes' in type ? type.bytes : 0;
  if (bytes === 0) throw new SpecError('a bitfield has a type without a size');
  const startOf = (): number => Math.floor(Math.floor(offsetBits / 8) / bytes) * bytes;
  let start = startOf();
  while (offsetBits + bitfieldBits - start * 8 > bytes * 8) {
    if (bytes >= 8) throw new SpecError('a bitfield crosses the words it could be read with');
    bytes *= 2;
    start = startOf();
  }
  return { start, bytes, within: offsetBits - start * 8, bits: bitfieldBits };
}

function leftShift({ bytes, within, bits }: Place, littleEndian: boolean): number {
  return littleEndian ? 64 - (within + bits) : (8 - bytes) * 8 + within;
}

/**
 * Whether the loader may change the size of a load or store from one type to the other: pointers and unsigned integers are
 * extended by zeros, everything else would become another value.
 */
export function mayResize(local: BtfType, target: BtfType): boolean {
  if (local.kind === 'ptr' && target.kind === 'ptr') return true;
  return local.kind === 'int' && target.kind === 'int' && !local.signed && !target.signed;
}
