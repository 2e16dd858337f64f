import { BtfError, BtfValueError } from '../error.js';
import { valueDecoder } from '../decode/object-decoder.js';
import { checkDepth, hasElements, isWideInt, MEMBERS_MAX } from '../decode/object-source.js';
import { Captures, identifier } from '../decode/source.js';
import type { Column } from '../layout/column.js';
import { columnOf, isPadding } from '../layout/columns.js';
import type { Btf } from '../types/btf.js';
import type { ArrayType, BtfType, CompositeType, EnumType, Member } from '../types/types.js';
import type { UnionArms } from './write-union.js';
import { writeUnion } from './write-union.js';
import {
  bigintOf,
  checkNames,
  enumValueOf,
  isList,
  isRecord,
  listed,
  numberOf,
  refuse,
  refuseText,
  writeBits,
  writeBytes,
  writeText,
} from './write-values.js';

/** Writes `value` at `offset` of bytes that are zero there; `root` is what errors call the value. */
export type ValueEncoder = (value: unknown, target: Uint8Array, view: DataView, offset: number, root: string) => void;

/**
 * Generates the inverse of {@link valueDecoder}. Everything that a decoder gives is taken, and for convenience numbers where
 * they are exact, enums by number, and bytes for text. The encoder throws BtfValueError.
 * @throws BtfError BTF_LAYOUT, BTF_IDENTIFIER, BTF_LIMIT
 */
export function valueEncoder(btf: Btf, typeId: number): ValueEncoder {
  const source = new EncoderSource(btf);
  const place: Place = { value: 'x', base: 'o', path: 'r', offsetBits: 0, limitBits: btf.sizeOf(typeId) * 8 };
  const body = source.whole(btf.resolve(typeId), place);
  return source.captures.compile<ValueEncoder>(`return function (x, t, v, o, r) {\n${body}\n};`);
}

/** Where a value comes from and goes to, in the names of generated variables. */
interface Place {
  readonly value: string;
  /** The byte offset that bits are counted from. */
  readonly base: string;
  /** An expression. */
  readonly path: string;
  readonly offsetBits: number;
  /** Bits from the base that belong to the type: nothing is written behind them. */
  readonly limitBits: number;
}

interface Leaf {
  readonly type: BtfType;
  readonly column: Column;
  readonly place: Place;
}

const RUNTIME = {
  bigintOf,
  checkNames,
  enumValueOf,
  isList,
  isRecord,
  numberOf,
  refuse,
  refuseText,
  writeBits,
  writeBytes,
  writeText,
  writeUnion,
  BtfValueError,
};

class EncoderSource {
  readonly captures = new Captures();
  readonly #run: Record<keyof typeof RUNTIME, string>;
  #memberCount = 0;
  #variables = 0;

  constructor(readonly btf: Btf) {
    const names = Object.entries(RUNTIME).map(([name, value]) => [name, this.captures.add(value)]);
    this.#run = Object.fromEntries(names) as Record<keyof typeof RUNTIME, string>;
  }

  whole(type: BtfType, place: Place): string {
    return this.#value(type, { name: 'value', typeId: type.id, offsetBits: 0, bitfieldBits: 0 }, place, true, 0);
  }

  #variable(): string {
    this.#variables += 1;
    return `x${this.#variables}`;
  }

  #refuse(place: Place, expected: string): string {
    return `${this.#run.refuse}(${place.value}, ${place.path}, ${this.captures.add(expected)});`;
  }

  #value(type: BtfType, member: Member, place: Place, mayFlex: boolean, depth: number): string {
    checkDepth(type, depth);
    if (type.kind === 'struct' || type.kind === 'union') return this.#composite(type, place, mayFlex, depth);
    const shape = columnOf(this.btf, type.id, member.name, member.bitfieldBits, mayFlex);
    const column: Column = { ...shape, offsetBits: place.offsetBits + shape.offsetBits };
    checkEnd(column.offsetBits + column.bits, place, member.name);
    if (type.kind === 'array' && hasElements(column)) return this.#array(type, place, depth);
    return this.#leaf({ type, column, place }, depth);
  }

  #composite(type: CompositeType, place: Place, outermost: boolean, depth: number): string {
    if (place.offsetBits % 8 !== 0) throw new BtfError('BTF_LAYOUT', `${type.kind} ${type.name} begins inside a byte`);
    checkEnd(place.offsetBits + type.bytes * 8, place, `${type.kind} ${type.name}`);
    const names = this.#namesOf(type);
    const what = type.name === '' ? `an object with ${listed(names)}` : `${type.kind} ${type.name} as an object`;
    return `if (!${this.#run.isRecord}(${place.value})) ${this.#refuse(place, what)}
${this.#run.checkNames}(${place.value}, ${this.captures.add(new Set(names))}, ${place.path});
${this.#members(type, place, outermost, depth)}`;
  }

  /** Of an anonymous member, the names belong to the value of its parent. */
  #members(type: CompositeType, place: Place, outermost: boolean, depth: number): string {
    checkDepth(type, depth);
    if (type.kind === 'union') return this.#union(type, place, depth);
    return type.members
      .map((member) => {
        const mayFlex = outermost && type.members.at(-1) === member;
        return this.#member(member, place, mayFlex, depth);
      })
      .join('\n');
  }

  #member(member: Member, place: Place, mayFlex: boolean, depth: number): string {
    this.#memberCount += 1;
    if (this.#memberCount > MEMBERS_MAX) throw new BtfError('BTF_LIMIT', `more than ${MEMBERS_MAX} members`);
    const type = this.btf.resolve(member.typeId);
    const offsetBits = place.offsetBits + member.offsetBits;
    if (member.name === '') {
      if (type.kind !== 'struct' && type.kind !== 'union') return '';
      checkEnd(offsetBits + type.bytes * 8, place, `${type.kind} ${type.name}`);
      return this.#members(type, { ...place, offsetBits }, false, depth + 1);
    }
    const name = identifier(member.name);
    const value = this.#variable();
    const own: Place = { ...place, value, offsetBits, path: `${place.path} + ${JSON.stringify(`.${name}`)}` };
    const code = this.#value(type, member, own, mayFlex, depth + 1);
    const body = this.#isOptional(member) ? `if (${value} !== undefined) {\n${code}\n}` : code;
    return `{ let ${value} = ${place.value}.${name};\n${body}\n}`;
  }

  /** Zeros are what padding and arrays of nothing are meant to hold. */
  #isOptional(member: Member): boolean {
    return isPadding(member.name) || (member.bitfieldBits === 0 && this.btf.sizeOf(member.typeId) === 0);
  }

  /** The names that a value of this type may have, those of anonymous members among them. */
  #namesOf(type: CompositeType): string[] {
    const names: string[] = [];
    let looked = 0;
    const collect = (from: CompositeType, depth: number): void => {
      checkDepth(from, depth);
      for (const member of from.members) {
        looked += 1;
        if (looked > MEMBERS_MAX) throw new BtfError('BTF_LIMIT', `more than ${MEMBERS_MAX} members`);
        const inner = member.name === '' ? this.btf.resolve(member.typeId) : undefined;
        if (inner === undefined) names.push(identifier(member.name));
        else if (inner.kind === 'struct' || inner.kind === 'union') collect(inner, depth + 1);
      }
    };
    collect(type, 0);
    return names;
  }

  /** The arms are a function of their own, so that they can be tried aside when a value names several. */
  #union(type: CompositeType, place: Place, depth: number): string {
    if (place.offsetBits % 8 !== 0) throw new BtfError('BTF_LAYOUT', `union ${type.name} begins inside a byte`);
    const named = type.members
      .map((member) => ({ member, names: this.#namesOf({ ...type, members: [member] }) }))
      .filter(({ names }) => names.length > 0);
    if (named.length === 0) return '';
    const base = this.#variable();
    const inner: Place = { ...place, base, offsetBits: 0, limitBits: type.bytes * 8 };
    const cases = named.map(
      ({ member }, arm) => `case ${arm}: {\n${this.#member(member, inner, false, depth)}\nbreak; }`,
    );
    let decoder: ReturnType<typeof valueDecoder> | undefined;
    const union: UnionArms = {
      arms: named.map(({ names }) => names),
      optional: named.every(({ member }) => this.#isOptional(member)),
      bytes: type.bytes,
      decoder: () => (decoder ??= valueDecoder(this.btf, type.id)),
    };
    const write = this.#variable();
    const problem = this.#variable();
    const at = `${place.base} + ${place.offsetBits / 8}`;
    return `const ${write} = (k, t, v, ${base}) => { switch (k) {\n${cases.join('\n')}\n} };
const ${problem} = ${this.#run.writeUnion}(${this.captures.add(union)}, ${place.value}, ${write}, t, v, ${at});
if (${problem} !== undefined) throw new ${this.#run.BtfValueError}(${place.path}, ${problem});`;
  }

  #array(type: ArrayType, place: Place, depth: number, expected?: string): string {
    const bytes = this.btf.sizeOf(type.typeId);
    const count = bytes === 0 ? 0 : type.count;
    const [index, value, base] = [this.#variable(), this.#variable(), this.#variable()] as const;
    const item: Place = {
      value,
      base,
      offsetBits: 0,
      limitBits: bytes * 8,
      path: `${place.path} + "[" + ${index} + "]"`,
    };
    const check = `if (!${this.#run.isList}(${place.value}, ${count})) ${this.#refuse(place, expected ?? `an array of ${count}`)}`;
    if (count === 0) return check;
    const element = this.btf.resolve(type.typeId);
    const member = { name: 'element', typeId: element.id, offsetBits: 0, bitfieldBits: 0 };
    return `${check}
for (let ${index} = 0; ${index} < ${count}; ${index} += 1) {
let ${value} = ${place.value}[${index}]; const ${base} = ${place.base} + ${place.offsetBits / 8} + ${index} * ${bytes};
${this.#value(element, member, item, false, depth + 1)}
}`;
  }

  #leaf(leaf: Leaf, depth: number): string {
    const { column, place, type } = leaf;
    if (type.kind === 'ptr' && !column.bitfield) return this.#integer(leaf, false, true, 'an address');
    if (isWideInt(type)) return this.#integer(leaf, type.signed, true, 'an integer');
    switch (column.kind) {
      case 'int':
      case 'uint':
        return this.#integer(leaf, column.kind === 'int', column.bits > 32, 'an integer');
      case 'enum':
        return this.#enum(leaf, type as EnumType);
      case 'bool': {
        const check = `if (typeof ${place.value} !== 'boolean') ${this.#refuse(place, 'true or false')}`;
        const number = { ...place, value: `(${place.value} ? 1 : 0)` };
        return `${check}\n${column.bitfield ? this.#bits(column, number, false) : this.#setter(column, number, 1, false)}`;
      }
      case 'float':
        return this.#float(leaf);
      default:
        return this.#bytes(leaf, depth);
    }
  }

  #integer({ column, place }: Leaf, signed: boolean, wide: boolean, what: string): string {
    const { min, max } = rangeOf(column, signed);
    const { value } = place;
    const [low, high] = wide ? [`${min}n`, `${max}n`] : [`${min}`, `${max}`];
    const type = wide ? `typeof ${value} === 'bigint'` : `Number.isInteger(${value})`;
    const slow = wide ? this.#run.bigintOf : this.#run.numberOf;
    const expected = this.captures.add(`${what} from ${min} to ${max}`);
    const inBits = column.bitfield || column.bits > 64;
    const write = inBits ? this.#bits(column, place, wide) : this.#word(column, place, signed, wide);
    return `if (!(${type} && ${value} >= ${low} && ${value} <= ${high})) ${value} = ${slow}(${value}, ${low}, ${high}, ${place.path}, ${expected});
${write}`;
  }

  #word(column: Column, place: Place, signed: boolean, wide: boolean): string {
    const narrowed = wide && column.bits <= 32 ? { ...place, value: `Number(${place.value})` } : place;
    return this.#setter(column, narrowed, column.bits / 8, signed);
  }

  #setter(column: Column, place: Place, bytes: number, signed: boolean): string {
    const big = bytes === 8 ? 'Big' : '';
    return `v.set${big}${signed ? 'Int' : 'Uint'}${bytes * 8}(${byteAt(column, place)}, ${place.value}, ${this.btf.littleEndian});`;
  }

  #bits(column: Column, place: Place, wide: boolean): string {
    const value = wide ? place.value : `BigInt(${place.value})`;
    const at = `${place.base} + ${Math.floor(column.offsetBits / 8)}`;
    return `${this.#run.writeBits}(t, ${at}, ${column.offsetBits % 8}, ${column.bits}, ${value}, ${this.btf.littleEndian});`;
  }

  #enum(leaf: Leaf, type: EnumType): string {
    const { column, place } = leaf;
    const wide = column.bits > 32;
    const names = [...new Set(type.values.map(({ name }) => name))];
    const values = new Map(type.values.map(({ name, value }) => [name, wide ? value : Number(value)]));
    const known = names.length === 0 ? 'an integer' : `${listed(names)}, or an integer`;
    const { min, max } = rangeOf(column, column.signed === true);
    const expected = this.captures.add(`${known} from ${min} to ${max}`);
    const { value, path } = place;
    const number = this.#integer(leaf, column.signed === true, wide, known);
    return `if (typeof ${value} === 'string') ${value} = ${this.#run.enumValueOf}(${this.captures.add(values)}, ${value}, ${path}, ${expected});
${number}`;
  }

  #float({ column, place }: Leaf): string {
    const { value } = place;
    const check = `if (typeof ${value} !== 'number') ${this.#refuse(place, 'a number')}`;
    const range = `if (Number.isFinite(${value}) && !Number.isFinite(Math.fround(${value}))) ${this.#refuse(place, 'a number that a float can hold')}`;
    const write = `v.setFloat${column.bits}(${byteAt(column, place)}, ${value}, ${this.btf.littleEndian});`;
    return column.bits === 32 ? `${check}\n${range}\n${write}` : `${check}\n${write}`;
  }

  #bytes({ type, column, place }: Leaf, depth: number): string {
    // Its first and last byte may be another member's too.
    if (column.bitfield) throw new BtfError('BTF_LAYOUT', `${column.path} is a bitfield of a type that has none`);
    const end = column.flexible ? place.limitBits : column.offsetBits + column.bits;
    const bytes = Math.floor(end / 8) - Math.floor(column.offsetBits / 8);
    const range = `${place.base} + ${Math.floor(column.offsetBits / 8)}, ${place.base} + ${Math.floor(end / 8)}`;
    if (column.kind === 'text') {
      const refusal = `${this.#run.refuseText}(${place.value}, ${place.path}, ${bytes});`;
      return `if (!${this.#run.writeText}(t, ${range}, ${place.value})) ${refusal}`;
    }
    const asList = type.kind === 'array' && !column.flexible;
    const otherwise = asList
      ? this.#array(type, place, depth, `${bytes} bytes`)
      : this.#refuse(place, `${bytes} bytes`);
    return `if (!${this.#run.writeBytes}(t, ${range}, ${place.value})) {\n${otherwise}\n}`;
  }
}

/** @throws BtfError BTF_LAYOUT */
function rangeOf(column: Column, signed: boolean): { min: bigint; max: bigint } {
  if (column.bits < 1 || column.bits > 128) {
    throw new BtfError('BTF_LAYOUT', `${column.path} is an integer of ${column.bits} bits`);
  }
  const min = signed ? -(1n << BigInt(column.bits - 1)) : 0n;
  return { min, max: (1n << BigInt(signed ? column.bits - 1 : column.bits)) - 1n };
}

function byteAt(column: Column, place: Place): string {
  if (column.offsetBits % 8 !== 0) throw new BtfError('BTF_LAYOUT', `${column.path} does not begin on a byte`);
  return `${place.base} + ${column.offsetBits / 8}`;
}

function checkEnd(endBits: number, place: Place, what: string): void {
  if (endBits <= place.limitBits) return;
  throw new BtfError('BTF_LAYOUT', `${what} reaches past the end of its struct`);
}
