import { BtfError } from '../error.js';
import type { Btf } from '../types/btf.js';
import { ObjectSource } from './object-source.js';
import { Captures, guard, NAMED_SOURCE } from './source.js';

export type ObjectDecoder = (view: DataView, offset: number, bytes: number) => Record<string, unknown>;

/**
 * Generates a decoder for one struct, as C shows it: nested structs as objects, arrays as arrays, integers of 64 bits and
 * more and pointers as bigint, char arrays as text up to the first NUL, other one-byte arrays as Uint8Array, enums by name
 * (the number when it has none). Of a union every arm is read; anonymous members belong to their parent.
 * The decoder throws BtfError RECORD_SHORT for a record that is shorter than the struct.
 * @throws BtfError BTF_LAYOUT, BTF_IDENTIFIER, BTF_LIMIT
 */
export function objectDecoder(btf: Btf, typeId: number): ObjectDecoder {
  const type = btf.resolve(typeId);
  if (type.kind !== 'struct' && type.kind !== 'union') {
    throw new BtfError('BTF_LAYOUT', `type ${typeId} is a ${type.kind}, and only structs become objects`);
  }
  return valueDecoder(btf, typeId) as ObjectDecoder;
}

export type ValueDecoder = (view: DataView, offset: number, bytes: number) => unknown;

/**
 * Like {@link objectDecoder}, for every type that has a size.
 * @throws BtfError BTF_LAYOUT, BTF_IDENTIFIER, BTF_LIMIT
 */
export function valueDecoder(btf: Btf, typeId: number): ValueDecoder {
  const bytes = btf.sizeOf(typeId);
  const captures = new Captures();
  const source = new ObjectSource(btf, { littleEndian: btf.littleEndian, bytesMin: bytes }, captures);
  const value = source.whole(btf.resolve(typeId), true);
  return captures.compile<ValueDecoder>(
    `${NAMED_SOURCE}\nreturn function (v, o, n) {\n${guard(bytes)}\nreturn ${value};\n};`,
  );
}
