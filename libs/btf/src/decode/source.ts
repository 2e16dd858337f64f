import { BtfError } from '../error.js';
import type { ArrayElement, Column } from '../layout/column.js';
import { readBits, readBytes, readText } from './values.js';

/**
 * Everything generated goes through this file. Generated code is made of constant text, numbers that this library has
 * computed, and identifiers that have passed {@link identifier}: nothing that an object says can become code.
 */
const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;

/** @throws BtfError BTF_IDENTIFIER for anything that is not a plain name; `__proto__` is none, as it sets a prototype */
export function identifier(name: string): string {
  if (IDENTIFIER.test(name) && name !== '__proto__') return name;
  throw new BtfError('BTF_IDENTIFIER', `${JSON.stringify(name.slice(0, 128))} is not a usable name`);
}

/** Values that generated code refers to, by the names of its parameters. */
export class Captures {
  readonly #names: string[] = ['readText', 'readBytes', 'readBits', 'failShort'];
  readonly #values: unknown[] = [readText, readBytes, readBits, failShort];

  add(value: unknown): string {
    const name = `c${this.#names.length}`;
    this.#names.push(name);
    this.#values.push(value);
    return name;
  }

  /** Compiles `body`, which must return the function that is wanted. */
  compile<T>(body: string): T {
    const factory = new Function(...this.#names, `'use strict';\n${body}`) as (...values: unknown[]) => T;
    return factory(...this.#values);
  }
}

function failShort(view: DataView, offset: number, bytes: number, bytesMin: number): never {
  const available = Math.max(0, Math.min(bytes, view.byteLength - offset));
  throw new BtfError('RECORD_SHORT', `a record of ${available} bytes is shorter than its struct of ${bytesMin}`);
}

/** The first statement of every generated function of (v, o, n): view, offset and bytes of one record. */
export function guard(bytesMin: number): string {
  return `if (!(n >= ${bytesMin} && o >= 0 && o + n <= v.byteLength)) failShort(v, o, n, ${bytesMin});`;
}

export interface Layout {
  readonly littleEndian: boolean;
  /** Bytes that every record has: what may be read without looking at its length. */
  readonly bytesMin: number;
}

/** The expression for a column's value: number up to 32 bits, bigint above, boolean, string, Uint8Array or an array. */
export function valueSource(column: Column, layout: Layout, captures: Captures): string {
  const at = byteOffset(column);
  switch (column.kind) {
    case 'int':
    case 'uint':
      return numberSource(column, column.kind === 'int', layout);
    case 'bool':
      return column.bitfield ? `(${numberSource(column, false, layout)} !== 0)` : `(v.getUint8(o + ${at}) !== 0)`;
    case 'enum': {
      const number = numberSource(column, column.signed === true, layout);
      const names = captures.add(enumTable(column));
      return `named(${names}, ${number})`;
    }
    case 'float':
      return `v.getFloat${column.bits}(o + ${at}, ${layout.littleEndian})`;
    case 'text':
      return `readText(v, o + ${at}, ${endSource(column)})`;
    case 'bytes':
      return `readBytes(v, o + ${at}, ${endSource(column)})`;
    case 'array': {
      const element = elementOf(column);
      const item = elementSource(element, `o + ${at} + i * ${element.bytes}`, layout);
      return `Array.from({ length: ${element.count} }, (_, i) => ${item})`;
    }
    case 'opaque':
      throw new BtfError('BTF_LAYOUT', `${column.path} ${column.reason ?? 'cannot be read'}`);
  }
}

/** Looks a value up; what has no name stays a number. Generated functions carry it in front of them. */
export const NAMED_SOURCE = `const named = (names, value) => { const name = names.get(value); return name === undefined ? value : name; };`;

export function elementOf(column: Column): ArrayElement {
  if (column.element === undefined) throw new BtfError('BTF_LAYOUT', `${column.path} is not an array`);
  return column.element;
}

export function elementSource(element: ArrayElement, position: string, layout: Layout): string {
  const end = element.bytes === 1 ? '' : `, ${layout.littleEndian}`;
  if (element.kind === 'bool') return `(v.getUint8(${position}) !== 0)`;
  if (element.kind === 'float') return `v.getFloat${element.bytes * 8}(${position}${end})`;
  return `v.${getter(element.bytes, element.kind === 'int')}(${position}${end})`;
}

/** Offset of a column that begins on a byte. */
export function byteOffset(column: Column): number {
  if (column.offsetBits % 8 !== 0 && !column.bitfield) {
    throw new BtfError('BTF_LAYOUT', `${column.path} does not begin on a byte`);
  }
  return Math.floor(column.offsetBits / 8);
}

/** Where a column ends inside the view; flexible ones end with the record. */
export function endSource(column: Column): string {
  return column.flexible ? 'o + n' : `o + ${byteOffset(column) + column.bits / 8}`;
}

/** A number of a column of kind int, uint, bool or enum: `number` up to 32 bits, `bigint` above. */
export function numberSource(column: Column, signed: boolean, layout: Layout): string {
  const { offsetBits, bits } = column;
  if (!column.bitfield) {
    const at = byteOffset(column);
    return bits === 8
      ? `v.${getter(1, signed)}(o + ${at})`
      : `v.${getter(bits / 8, signed)}(o + ${at}, ${layout.littleEndian})`;
  }
  if (bits < 1 || bits > 64) throw new BtfError('BTF_LAYOUT', `${column.path} is a bitfield of ${bits} bits`);
  for (const bytes of [1, 2, 4]) {
    const start = Math.floor(offsetBits / (bytes * 8)) * bytes;
    const within = offsetBits - start * 8;
    if (within + bits > bytes * 8 || start + bytes > layout.bytesMin) continue;
    const low = layout.littleEndian ? within : bytes * 8 - within - bits;
    const word = `v.getUint${bytes * 8}(o + ${start}, ${layout.littleEndian})`;
    if (signed) return `((${word} << ${32 - low - bits}) >> ${32 - bits})`;
    return bits === 32 ? word : `((${word} >>> ${low}) & ${2 ** bits - 1})`;
  }
  const call = `readBits(v, o, ${offsetBits}, ${bits}, ${signed}, ${layout.littleEndian})`;
  return bits <= 32 ? `Number(${call})` : call;
}

function getter(bytes: number, signed: boolean): string {
  if (bytes === 8) return signed ? 'getBigInt64' : 'getBigUint64';
  if (bytes !== 1 && bytes !== 2 && bytes !== 4)
    throw new BtfError('BTF_LAYOUT', `there are no integers of ${bytes} bytes`);
  return `get${signed ? 'Int' : 'Uint'}${bytes * 8}`;
}

function enumTable(column: Column): Map<number | bigint, string> {
  const entries = Object.entries(column.enumNames ?? {});
  const wide = column.bits > 32;
  return new Map(entries.map(([value, name]) => [wide ? BigInt(value) : Number(value), name]));
}
