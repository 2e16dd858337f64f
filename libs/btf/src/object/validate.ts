import { BtfError } from '../error.js';
import type { Btf } from '../types/btf.js';
import type { BtfType } from '../types/types.js';

/** A probe that drags in half of vmlinux.h has some thousands. */
const OBJECT_TYPES_MAX = 200_000;

/**
 * Follows every reference of an object's own BTF once, so that what is malformed is refused when the object is read, and
 * not at some later look at it. (A kernel's BTF is trusted and large: there each type is checked when it is used.)
 * @throws BtfError BTF_INVALID, BTF_NOT_FOUND, BTF_LAYOUT, BTF_LIMIT
 */
export function validateTypes(btf: Btf): void {
  if (btf.typeCount > OBJECT_TYPES_MAX) throw new BtfError('BTF_LIMIT', `more than ${OBJECT_TYPES_MAX} types`);
  for (const type of btf.types()) {
    for (const id of referencesOf(type)) {
      if (id >= btf.typeCount)
        throw new BtfError('BTF_NOT_FOUND', `type ${type.id} refers to type ${id}, which is not there`);
    }
    btf.resolve(type.id);
    if (type.kind === 'array') btf.sizeOf(type.id);
    if (type.kind === 'struct' || type.kind === 'union') checkMembers(btf, type);
  }
}

function referencesOf(type: BtfType): number[] {
  switch (type.kind) {
    case 'array':
      return [type.typeId, type.indexTypeId];
    case 'struct':
    case 'union':
      return type.members.map((member) => member.typeId);
    case 'func_proto':
      return [type.returnTypeId, ...type.parameters.map((parameter) => parameter.typeId)];
    case 'datasec':
      return type.variables.map((variable) => variable.typeId);
    default:
      return 'typeId' in type ? [type.typeId] : [];
  }
}

function checkMembers(btf: Btf, type: Extract<BtfType, { kind: 'struct' | 'union' }>): void {
  for (const { name, typeId, offsetBits, bitfieldBits } of type.members) {
    const bits = bitfieldBits || btf.sizeOf(typeId) * 8;
    if (offsetBits % 8 !== 0 && bitfieldBits === 0) {
      throw new BtfError('BTF_LAYOUT', `member ${name} of ${type.kind} ${type.name} does not begin on a byte`);
    }
    if (offsetBits + bits <= type.bytes * 8) continue;
    throw new BtfError('BTF_LAYOUT', `member ${name} reaches past the end of ${type.kind} ${type.name}`);
  }
}
