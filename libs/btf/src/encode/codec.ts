import { valueDecoder } from '../decode/object-decoder.js';
import { BtfError } from '../error.js';
import type { Btf } from '../types/btf.js';
import { valueEncoder } from './value-encoder.js';

/**
 * What a BTF type looks like in JavaScript: integers up to 32 bits and floats are numbers, wider integers and pointers
 * bigint, `char` arrays text, other one-byte arrays Uint8Array, enums their names, structs and unions objects.
 */
export type BtfValue =
  number | bigint | boolean | string | Uint8Array | readonly BtfValue[] | { readonly [member: string]: BtfValue };

/** A type as bytes and back, in the byte order of the BTF it comes from. */
export interface BtfCodec<Type = BtfValue> {
  readonly bytes: number;
  /**
   * Writes all bytes of the type, padding as zeros. Members must all be given, but padding (`_pad` …) and one arm of a union
   * are enough; a union may be given with all its arms as long as they agree, as decode() gives it. Integers may be numbers
   * where they are exact, enums numbers, text bytes. When it throws, some of the target may be written.
   * @throws BtfValueError VALUE_INVALID, which names the place; BtfError RECORD_SHORT when the target ends too early
   */
  encode(value: Type, target: Uint8Array, offset: number): void;
  /** @throws BtfError RECORD_SHORT */
  decode(source: Uint8Array, offset: number): Type;
  /** The type in C: a struct, union or enum with its body, anything else as a cast would write it. */
  describe(): string;
}

/**
 * The codec of any type that has a size, made of generated code. `name` is what errors call the value: `key` gives
 * `key.addr[3] is 300, expected an integer from 0 to 255`. `Type` is the caller's word: nothing checks it against BTF.
 * @throws BtfError BTF_LAYOUT for functions, forward declarations and void, BTF_IDENTIFIER, BTF_LIMIT, BTF_NOT_FOUND
 */
export function codecOf<Type = BtfValue>(btf: Btf, typeId: number, options: { name?: string } = {}): BtfCodec<Type> {
  const bytes = btf.sizeOf(typeId);
  const name = options.name ?? 'value';
  const read = valueDecoder(btf, typeId);
  const write = valueEncoder(btf, typeId);
  return {
    bytes,
    encode: (value, target, offset) => {
      if (!(offset >= 0 && offset + bytes <= target.byteLength)) {
        throw new BtfError('RECORD_SHORT', `${name} has ${bytes} bytes, more than there is room for at ${offset}`);
      }
      target.fill(0, offset, offset + bytes);
      write(value, target, viewOf(target), offset, name);
    },
    decode: (source, offset) => read(viewOf(source), offset, bytes) as Type,
    describe: () => {
      const type = btf.resolve(typeId);
      const hasBody = ['struct', 'union', 'enum', 'enum64'].includes(type.kind);
      return hasBody ? btf.printC(type.id).trim() : btf.printDeclaration(typeId);
    },
  };
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
