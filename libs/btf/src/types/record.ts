import { BtfError } from '../error.js';
import type { BtfType, EnumValue, Member, Parameter, ReferenceType, SectionVariable } from './types.js';
import { BTF_KINDS } from './types.js';

/** A checked BTF blob: `offsets` are those of whole records, so that decoding one never reads outside of the bytes. */
export interface RawBtf {
  readonly view: DataView;
  readonly littleEndian: boolean;
  readonly offsets: Uint32Array;
  readonly firstId: number;
  readonly stringAt: (offset: number) => string;
}

export const RECORD_BYTES = 12;

/** Bytes that follow the common 12 of a record: `fixed` once and `each` for every one of its `vlen` entries. */
export function trailerBytes(kindNumber: number, vlen: number): number | undefined {
  switch (BTF_KINDS[kindNumber]) {
    case 'int':
    case 'var':
    case 'decl_tag':
      return 4;
    case 'array':
      return 12;
    case 'struct':
    case 'union':
    case 'enum64':
    case 'datasec':
      return 12 * vlen;
    case 'enum':
    case 'func_proto':
      return 8 * vlen;
    case undefined:
    case 'void':
      return undefined;
    default:
      return 0;
  }
}

/** @throws BtfError BTF_NOT_FOUND for an id outside of this blob */
export function decodeRecord(raw: RawBtf, id: number): BtfType {
  if (id === 0) return { kind: 'void', id: 0, name: '' };
  const at = raw.offsets[id - raw.firstId];
  if (at === undefined) throw new BtfError('BTF_NOT_FOUND', `there is no type ${id}`);
  const { view, littleEndian } = raw;
  const info = view.getUint32(at + 4, littleEndian);
  const record: RawRecord = {
    raw,
    id,
    at: at + RECORD_BYTES,
    name: raw.stringAt(view.getUint32(at, littleEndian)),
    vlen: info & 0xffff,
    kindFlag: info >>> 31 === 1,
    sizeOrType: view.getUint32(at + 8, littleEndian),
  };
  return decodeKind(record, (info >>> 24) & 0x1f);
}

interface RawRecord {
  readonly raw: RawBtf;
  readonly id: number;
  /** Offset of what follows the common 12 bytes. */
  readonly at: number;
  readonly name: string;
  readonly vlen: number;
  readonly kindFlag: boolean;
  readonly sizeOrType: number;
}

function decodeKind(record: RawRecord, kindNumber: number): BtfType {
  const { id, name, vlen, sizeOrType } = record;
  const kind = BTF_KINDS[kindNumber];
  switch (kind) {
    case 'int':
      return decodeInt(record);
    case 'array':
      return { kind, id, name, typeId: u32(record, 0), indexTypeId: u32(record, 4), count: u32(record, 8) };
    case 'struct':
    case 'union':
      return { kind, id, name, bytes: sizeOrType, members: decodeMembers(record) };
    case 'enum':
    case 'enum64':
      return { kind, id, name, bytes: sizeOrType, signed: record.kindFlag, values: decodeEnum(record, kind) };
    case 'fwd':
      return { kind, id, name, of: record.kindFlag ? 'union' : 'struct' };
    case 'func':
      return { kind, id, name, typeId: sizeOrType, linkage: linkageOf(vlen) };
    case 'func_proto':
      return { kind, id, name, returnTypeId: sizeOrType, parameters: decodeParameters(record) };
    case 'var':
      return { kind, id, name, typeId: sizeOrType, linkage: linkageOf(u32(record, 0)) };
    case 'datasec':
      return { kind, id, name, bytes: sizeOrType, variables: decodeVariables(record) };
    case 'float':
      return { kind, id, name, bytes: sizeOrType };
    case 'decl_tag':
      return {
        kind,
        id,
        name,
        typeId: sizeOrType,
        componentIndex: u32(record, 0) | 0,
        isAttribute: record.kindFlag,
      };
    case 'type_tag':
      return { kind, id, name, typeId: sizeOrType, isAttribute: record.kindFlag };
    case undefined:
    case 'void':
      throw new BtfError('BTF_INVALID', `type ${id} has the unknown kind ${kindNumber}`);
    default:
      return { kind, id, name, typeId: sizeOrType } satisfies ReferenceType;
  }
}

function u32(record: RawRecord, offset: number): number {
  return record.raw.view.getUint32(record.at + offset, record.raw.littleEndian);
}

function decodeInt(record: RawRecord): BtfType {
  const word = u32(record, 0);
  const encoding = (word >>> 24) & 0x0f;
  const bits = word & 0xff;
  if (bits > record.sizeOrType * 8 || record.sizeOrType > 16) {
    throw new BtfError(
      'BTF_INVALID',
      `int ${record.name} of ${record.sizeOrType} bytes claims ${bits} bits`,
      record.at,
    );
  }
  return {
    kind: 'int',
    id: record.id,
    name: record.name,
    bytes: record.sizeOrType,
    bits,
    offsetBits: (word >>> 16) & 0xff,
    signed: (encoding & 1) !== 0,
    isChar: (encoding & 2) !== 0 || record.name === 'char',
    isBool: (encoding & 4) !== 0,
  };
}

/** A loop, because a kernel has 300,000 members and a closure each is what reading them would cost. */
function decodeMembers({ raw, at, vlen, kindFlag }: RawRecord): Member[] {
  const { view, littleEndian } = raw;
  const members: Member[] = [];
  for (let entry = at; entry < at + vlen * 12; entry += 12) {
    const word = view.getUint32(entry + 8, littleEndian);
    members.push({
      name: raw.stringAt(view.getUint32(entry, littleEndian)),
      typeId: view.getUint32(entry + 4, littleEndian),
      offsetBits: kindFlag ? word & 0xffffff : word,
      bitfieldBits: kindFlag ? word >>> 24 : 0,
    });
  }
  return members;
}

function decodeEnum({ raw, at, vlen, kindFlag }: RawRecord, kind: 'enum' | 'enum64'): EnumValue[] {
  const { view, littleEndian } = raw;
  const stride = kind === 'enum' ? 8 : 12;
  const values: EnumValue[] = [];
  for (let entry = at; entry < at + vlen * stride; entry += stride) {
    const name = raw.stringAt(view.getUint32(entry, littleEndian));
    if (kind === 'enum') {
      const value = kindFlag ? view.getInt32(entry + 4, littleEndian) : view.getUint32(entry + 4, littleEndian);
      values.push({ name, value: BigInt(value) });
    } else {
      const word =
        (BigInt(view.getUint32(entry + 8, littleEndian)) << 32n) | BigInt(view.getUint32(entry + 4, littleEndian));
      values.push({ name, value: kindFlag ? BigInt.asIntN(64, word) : word });
    }
  }
  return values;
}

function decodeParameters({ raw, at, vlen }: RawRecord): Parameter[] {
  const { view, littleEndian } = raw;
  const parameters: Parameter[] = [];
  for (let entry = at; entry < at + vlen * 8; entry += 8) {
    parameters.push({
      name: raw.stringAt(view.getUint32(entry, littleEndian)),
      typeId: view.getUint32(entry + 4, littleEndian),
    });
  }
  return parameters;
}

function decodeVariables(record: RawRecord): SectionVariable[] {
  return Array.from({ length: record.vlen }, (_, index) => ({
    typeId: u32(record, index * 12),
    offset: u32(record, index * 12 + 4),
    bytes: u32(record, index * 12 + 8),
  }));
}

function linkageOf(word: number): 'static' | 'global' | 'extern' {
  const linkage = (['static', 'global', 'extern'] as const)[word];
  if (linkage === undefined) throw new BtfError('BTF_INVALID', `unknown linkage ${word}`);
  return linkage;
}
