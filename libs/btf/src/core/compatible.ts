import type { Btf } from '../types/btf.js';
import type { BtfType } from '../types/types.js';
import { essentialName } from './names.js';

/** Pointers and arrays followed before two types count as unlike; the loader's own limit is 32. */
const STEPS_MAX = 32;
/** Functions that take functions. */
const DEPTH_MAX = 32;

/** Enums of both widths are one kind here: a kernel widens an enum by adding one large value. */
export function sameKind(a: BtfType, b: BtfType): boolean {
  return a.kind === b.kind || (isEnum(a) && isEnum(b));
}

export function isEnum(type: BtfType): boolean {
  return type.kind === 'enum' || type.kind === 'enum64';
}

function isComposite(type: BtfType): boolean {
  return type.kind === 'struct' || type.kind === 'union';
}

/** Integers at an offset inside their bytes are a bitfield of old compilers, which nothing can relocate. */
function isWholeInteger(type: BtfType): boolean {
  return type.kind === 'int' && type.offsetBits === 0;
}

/** Whether a field of one type may be read as a field of the other: names of composites and sizes of integers may differ. */
export function fieldsCompatible(local: Btf, localId: number, target: Btf, targetId: number): boolean {
  let a = local.resolve(localId);
  let b = target.resolve(targetId);
  for (let step = 0; step < STEPS_MAX; step += 1) {
    if (isComposite(a) && isComposite(b)) return true;
    if (!sameKind(a, b)) return false;
    if (a.kind !== 'array' || b.kind !== 'array') return leavesCompatible(a, b);
    a = local.resolve(a.typeId);
    b = target.resolve(b.typeId);
  }
  return false;
}

function leavesCompatible(a: BtfType, b: BtfType): boolean {
  switch (a.kind) {
    case 'ptr':
    case 'float':
      return true;
    case 'fwd':
    case 'enum':
    case 'enum64': {
      const name = essentialName(a.name);
      const other = essentialName(b.name);
      return name === '' || other === '' || name === other;
    }
    case 'int':
      return isWholeInteger(a) && isWholeInteger(b);
    default:
      return false;
  }
}

/**
 * Whether two types of the same name count as the same for the relocations that ask for a type: kinds must agree all the
 * way through pointers, arrays and functions, members need not.
 */
export function typesCompatible(local: Btf, localId: number, target: Btf, targetId: number, depth = 0): boolean {
  if (!sameKind(local.typeById(localId), target.typeById(targetId))) return false;
  let a = local.resolve(localId);
  let b = target.resolve(targetId);
  for (let step = 0; step < STEPS_MAX; step += 1) {
    if (!sameKind(a, b)) return false;
    if (a.kind === 'int') return isWholeInteger(a) && isWholeInteger(b);
    if ((a.kind === 'ptr' && b.kind === 'ptr') || (a.kind === 'array' && b.kind === 'array')) {
      a = local.resolve(a.typeId);
      b = target.resolve(b.typeId);
    } else if (a.kind === 'func_proto' && b.kind === 'func_proto') {
      const others = b.parameters;
      if (a.parameters.length !== others.length || depth >= DEPTH_MAX) return false;
      const alike = a.parameters.every(({ typeId }, index) => {
        const own = local.resolve(typeId).id;
        return typesCompatible(local, own, target, target.resolve(others[index]?.typeId ?? 0).id, depth + 1);
      });
      if (!alike) return false;
      a = local.resolve(a.returnTypeId);
      b = target.resolve(b.returnTypeId);
    } else {
      return a.kind === 'void' || isComposite(a) || isEnum(a) || a.kind === 'fwd';
    }
  }
  return false;
}
