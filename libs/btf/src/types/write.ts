import { BtfError } from '../error.js';
import { RECORD_BYTES } from './record.js';
import type { BtfType, CompositeType, EnumType, IntType } from './types.js';
import { BTF_KINDS } from './types.js';

const MAGIC = 0xeb9f;
const VERSION = 1;
const HEADER_BYTES = 24;
const VLEN_MAX = 0xffff;
const LINKAGES = { static: 0, global: 1, extern: 2 } as const;
/** Where members have the width of a bitfield, their offsets have 24 bits. */
const BITFIELD_OFFSET_MAX = 0xffffff;

/**
 * Encodes types as raw BTF, as libbpf and {@link parseBtf} read it. The first type has the id 1, the next 2, and so on, and
 * types refer to each other by those ids; the `id` that a type carries is not looked at.
 * @throws BtfError BTF_LIMIT when a count or an offset does not fit, BTF_INVALID for `void`, which has no record
 */
export function writeBtf(types: readonly BtfType[], littleEndian = true): Uint8Array {
  const strings = new StringPool();
  const words: number[] = [];
  for (const type of types) appendRecord(words, type, strings);
  const text = strings.bytes();
  const bytes = new Uint8Array(HEADER_BYTES + words.length * 4 + text.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, MAGIC, littleEndian);
  view.setUint8(2, VERSION);
  const header = [HEADER_BYTES, 0, words.length * 4, words.length * 4, text.length];
  header.forEach((word, index) => view.setUint32(4 + index * 4, word, littleEndian));
  words.forEach((word, index) => view.setUint32(HEADER_BYTES + index * 4, word >>> 0, littleEndian));
  bytes.set(text, HEADER_BYTES + words.length * 4);
  return bytes;
}

/** Each name once. */
class StringPool {
  readonly #offsets = new Map<string, number>([['', 0]]);
  readonly #parts: Uint8Array[] = [new Uint8Array(1)];
  readonly #encoder = new TextEncoder();
  #length = 1;

  offsetOf(name: string): number {
    const known = this.#offsets.get(name);
    if (known !== undefined) return known;
    const offset = this.#length;
    const part = this.#encoder.encode(`${name}\0`);
    this.#offsets.set(name, offset);
    this.#parts.push(part);
    this.#length += part.length;
    return offset;
  }

  bytes(): Uint8Array {
    const all = new Uint8Array(this.#length);
    let at = 0;
    for (const part of this.#parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }
}

function appendRecord(words: number[], type: BtfType, strings: StringPool): void {
  const { vlen, flag, sizeOrType, trailer } = encode(type, strings);
  if (vlen > VLEN_MAX) throw new BtfError('BTF_LIMIT', `${type.kind} ${type.name} has ${vlen} entries`);
  const kind = BTF_KINDS.indexOf(type.kind);
  words.push(strings.offsetOf(type.name), (flag ? 0x8000_0000 : 0) | (kind << 24) | vlen, sizeOrType);
  // One at a time: a struct may have more members than a call may have arguments.
  for (const word of trailer) words.push(word);
}

interface Encoded {
  readonly vlen: number;
  readonly flag: boolean;
  readonly sizeOrType: number;
  /** Words behind the common {@link RECORD_BYTES}. */
  readonly trailer: readonly number[];
}

function record(sizeOrType: number, trailer: readonly number[] = [], vlen = 0, flag = false): Encoded {
  return { vlen, flag, sizeOrType, trailer };
}

function encode(type: BtfType, strings: StringPool): Encoded {
  switch (type.kind) {
    case 'void':
      throw new BtfError('BTF_INVALID', `void has no record of ${RECORD_BYTES} bytes`);
    case 'int':
      return record(type.bytes, [intWord(type)]);
    case 'array':
      return record(0, [type.typeId, type.indexTypeId, type.count]);
    case 'struct':
    case 'union':
      return encodeComposite(type, strings);
    case 'enum':
    case 'enum64':
      return encodeEnum(type, strings);
    case 'fwd':
      return record(0, [], 0, type.of === 'union');
    case 'func':
      return record(type.typeId, [], LINKAGES[type.linkage]);
    case 'func_proto': {
      const words = type.parameters.flatMap(({ name, typeId }) => [strings.offsetOf(name), typeId]);
      return record(type.returnTypeId, words, type.parameters.length);
    }
    case 'var':
      return record(type.typeId, [LINKAGES[type.linkage]]);
    case 'datasec': {
      const words = type.variables.flatMap(({ typeId, offset, bytes }) => [typeId, offset, bytes]);
      return record(type.bytes, words, type.variables.length);
    }
    case 'float':
      return record(type.bytes);
    case 'decl_tag':
      return record(type.typeId, [type.componentIndex], 0, type.isAttribute);
    case 'type_tag':
      return record(type.typeId, [], 0, type.isAttribute);
    default:
      return record(type.typeId);
  }
}

function intWord(type: IntType): number {
  // `char` counts as a character by its name; the flag is only for other names.
  const encoding = (type.signed ? 1 : 0) | (type.isChar && type.name !== 'char' ? 2 : 0) | (type.isBool ? 4 : 0);
  return (encoding << 24) | (type.offsetBits << 16) | type.bits;
}

function encodeComposite(type: CompositeType, strings: StringPool): Encoded {
  const withWidths = type.members.some(({ bitfieldBits }) => bitfieldBits !== 0);
  const words = type.members.flatMap(({ name, typeId, offsetBits, bitfieldBits }) => {
    if (withWidths && offsetBits > BITFIELD_OFFSET_MAX) {
      throw new BtfError('BTF_LIMIT', `${type.kind} ${type.name} has bitfields and is too large for its offsets`);
    }
    return [strings.offsetOf(name), typeId, withWidths ? (bitfieldBits << 24) | offsetBits : offsetBits];
  });
  return record(type.bytes, words, type.members.length, withWidths);
}

function encodeEnum(type: EnumType, strings: StringPool): Encoded {
  const words = type.values.flatMap(({ name, value }) => {
    const low = Number(BigInt.asUintN(32, value));
    const high = Number(BigInt.asUintN(32, value >> 32n));
    return type.kind === 'enum' ? [strings.offsetOf(name), low] : [strings.offsetOf(name), low, high];
  });
  return record(type.bytes, words, type.values.length, type.signed);
}
