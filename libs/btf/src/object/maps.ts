import { BtfError } from '../error.js';
import type { Btf } from '../types/btf.js';
import type { CompositeType, Member } from '../types/types.js';
import { MAP_TYPE_NAMES } from './map-types.js';
import type { MapDefinition } from './types.js';

const MAPS_MAX = 1024;
/** A map in a map in a map is not a thing: the kernel allows one level. */
const INNER_DEPTH_MAX = 1;

/**
 * Reads the maps of `.maps`: each is a variable of a struct type whose members are pointers that carry meaning.
 * `__uint(name, n)` is `int (*name)[n]`, `__type(name, T)` is `T *name`, `__array(name, T)` is `T *name[]`.
 * @throws BtfError OBJECT_INVALID, BTF_LIMIT
 */
export function mapsOf(btf: Btf): MapDefinition[] {
  const section = btf.findByName('datasec', '.maps');
  if (section === undefined) return [];
  if (section.variables.length > MAPS_MAX) throw new BtfError('BTF_LIMIT', `more than ${MAPS_MAX} maps`);
  return section.variables.map(({ typeId }) => {
    const variable = btf.typeById(typeId);
    if (variable.kind !== 'var') throw new BtfError('OBJECT_INVALID', '.maps holds something that is not a variable');
    return mapOf(btf, variable.name, variable.typeId, 0);
  });
}

function mapOf(btf: Btf, name: string, typeId: number, depth: number): MapDefinition {
  const type = btf.resolve(typeId);
  if (type.kind !== 'struct') throw new BtfError('OBJECT_INVALID', `map ${name} is declared as a ${type.kind}`);
  const number = (member: string): number | undefined => uintOf(btf, name, type, member);
  const typeNumber = number('type') ?? 0;
  const typeName = MAP_TYPE_NAMES[typeNumber] ?? `map_type_${typeNumber}`;
  const keyTypeId = pointedType(btf, name, type, 'key');
  const valueTypeId = pointedType(btf, name, type, 'value');
  const inner = innerOf(btf, name, type, depth);
  return {
    name,
    type: typeNumber,
    typeName,
    perCpu: typeName.includes('percpu'),
    keyBytes: sizeOf(btf, name, 'key', number('key_size'), keyTypeId),
    valueBytes: sizeOf(btf, name, 'value', number('value_size'), valueTypeId) || (inner === undefined ? 0 : 4),
    maxEntries: number('max_entries') ?? 0,
    flags: number('map_flags') ?? 0,
    pinning: number('pinning') ?? 0,
    ...(keyTypeId === undefined ? {} : { keyTypeId }),
    ...(valueTypeId === undefined ? {} : { valueTypeId }),
    ...(inner === undefined ? {} : { inner }),
  };
}

function memberOf(type: CompositeType, name: string): Member | undefined {
  return type.members.find((member) => member.name === name);
}

function uintOf(btf: Btf, map: string, type: CompositeType, name: string): number | undefined {
  const member = memberOf(type, name);
  if (member === undefined) return undefined;
  const pointer = btf.resolve(member.typeId);
  const array = pointer.kind === 'ptr' ? btf.resolve(pointer.typeId) : pointer;
  if (pointer.kind !== 'ptr' || array.kind !== 'array') {
    throw new BtfError('OBJECT_INVALID', `map ${map}: declare ${name} with __uint(${name}, …)`);
  }
  return array.count;
}

function pointedType(btf: Btf, map: string, type: CompositeType, name: string): number | undefined {
  const member = memberOf(type, name);
  if (member === undefined) return undefined;
  const pointer = btf.resolve(member.typeId);
  if (pointer.kind !== 'ptr')
    throw new BtfError('OBJECT_INVALID', `map ${map}: declare ${name} with __type(${name}, …)`);
  return pointer.typeId;
}

function sizeOf(btf: Btf, map: string, what: string, stated: number | undefined, typeId: number | undefined): number {
  if (typeId === undefined) return stated ?? 0;
  const bytes = btf.sizeOf(typeId);
  if (stated !== undefined && stated !== bytes) {
    throw new BtfError('OBJECT_INVALID', `map ${map}: ${what}_size is ${stated}, but its type has ${bytes} bytes`);
  }
  return bytes;
}

/** `__array(values, struct inner_map)`; of a prog array the element is a function, which is no template. */
function innerOf(btf: Btf, map: string, type: CompositeType, depth: number): MapDefinition | undefined {
  const member = memberOf(type, 'values');
  if (member === undefined) return undefined;
  const array = btf.resolve(member.typeId);
  const pointer = array.kind === 'array' ? btf.resolve(array.typeId) : undefined;
  if (pointer?.kind !== 'ptr')
    throw new BtfError('OBJECT_INVALID', `map ${map}: declare values with __array(values, …)`);
  if (btf.resolve(pointer.typeId).kind !== 'struct') return undefined;
  if (depth >= INNER_DEPTH_MAX) throw new BtfError('OBJECT_INVALID', `map ${map} is nested more than once`);
  return mapOf(btf, `${map}.inner`, pointer.typeId, depth + 1);
}
