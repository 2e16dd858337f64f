import type { Btf, BtfType, CompositeType } from '@bpfleet/btf';
import { BtfError } from '@bpfleet/btf';

/** What `__uint(name, N)` declares in a map of `.maps`: a member `int (*name)[N]`. */
export function declaredNumber(btf: Btf, definition: CompositeType, name: string): number | undefined {
  const array = pointedTo(btf, definition, name);
  return array?.kind === 'array' ? array.count : undefined;
}

/** By `__uint(key_size, N)` or `__type(key, T)`; undefined where neither says it. */
export function declaredKeyBytes(btf: Btf, definition: CompositeType): number | undefined {
  const size = declaredNumber(btf, definition, 'key_size');
  const key = pointedTo(btf, definition, 'key');
  return size ?? (key === undefined ? undefined : sizeOf(btf, key));
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
