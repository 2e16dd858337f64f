import type { Btf, BtfType, CompositeType } from '@bpfleet/btf';
import { BtfError } from '@bpfleet/btf';

/** What `__uint(name, N)` declares in a map of `.maps`: a member `int (*name)[N]`. */
export function declaredNumber(btf: Btf, definition: CompositeType, name: string): number | undefined {
  const array = pointedTo(btf, definition, name);
  return array?.kind === 'array' ? array.count : undefined;
}

/** By `__uint(key_size, N)` or `__type(key, T)`, or the same for the value; undefined where neither says it. */
export function declaredBytes(btf: Btf, definition: CompositeType, side: 'key' | 'value'): number | undefined {
  const size = declaredNumber(btf, definition, `${side}_size`);
  const type = pointedTo(btf, definition, side);
  return size ?? (type === undefined ? undefined : sizeOf(btf, type));
}

function pointedTo(btf: Btf, definition: CompositeType, name: string): BtfType | undefined {
  const member = definition.members.find((one) => one.name === name);
  const pointer = member === undefined ? undefined : btf.resolve(member.typeId);
  return pointer?.kind === 'ptr' ? btf.resolve(pointer.typeId) : undefined;
}

function sizeOf(btf: Btf, type: BtfType): number | undefined {
  try {
    return btf.sizeOf(type.id);
  } catch (error) {
    if (error instanceof BtfError) return undefined;
    throw error;
  }
}
