import { BtfError } from '../error.js';
import type { ArrayElement, Column } from '../layout/column.js';
import type { CopyWriter, PgType } from './copy-writer.js';
import {
  Captures,
  byteOffset,
  elementOf,
  elementSource,
  endSource,
  guard,
  numberSource,
  valueSource,
} from './source.js';
import { NAMED_SOURCE } from './source.js';
import type { Layout } from './source.js';

/** How one column goes into a table. */
export interface CopyColumn {
  readonly column: Column;
  readonly pgType: PgType;
  /** Makes what is written out of the value: text for `text`, 4 or 16 bytes for `inet`, bigint for `numeric`, null for NULL. */
  readonly map?: (value: unknown) => unknown;
}

export type CopyEncoder = (view: DataView, offset: number, bytes: number, out: CopyWriter) => void;

const FIXED_BYTES: Partial<Record<PgType, number>> = { bool: 1, int2: 2, int4: 4, int8: 8, float4: 4, float8: 8 };
const ELEMENT_OIDS: Partial<Record<PgType, number>> = {
  bool: 16,
  int8: 20,
  int2: 21,
  int4: 23,
  float4: 700,
  float8: 701,
  numeric: 1700,
};

/**
 * The type of table column that holds every value of a struct's column exactly. Unsigned 64-bit integers become
 * `numeric`: `int8` would have to lie about the upper half of their range. Undefined for what no column can hold.
 */
export function pgTypeOf(column: Column): PgType | undefined {
  switch (column.kind) {
    case 'bool':
      return 'bool';
    case 'int':
    case 'uint':
      return integerType(column.kind === 'int', column.bits);
    case 'float':
      return column.bits === 32 ? 'float4' : 'float8';
    case 'enum':
    case 'text':
      return 'text';
    case 'bytes':
      return 'bytea';
    case 'array':
      return `${elementType(elementOf(column))}[]` as PgType;
    case 'opaque':
      return undefined;
  }
}

function integerType(signed: boolean, bits: number): 'int2' | 'int4' | 'int8' | 'numeric' {
  const needed = signed ? bits : bits + 1;
  if (needed <= 16) return 'int2';
  if (needed <= 32) return 'int4';
  return needed <= 64 ? 'int8' : 'numeric';
}

function elementType(element: ArrayElement): PgType {
  if (element.kind === 'bool') return 'bool';
  if (element.kind === 'float') return 'float8';
  return integerType(element.kind === 'int', element.bytes * 8);
}

/**
 * Generates an encoder from a record to the fields of one COPY BINARY tuple, in the order of `columns`, without the
 * tuple's field count. Runs of columns of fixed size are written without a call. The encoder throws BtfError RECORD_SHORT
 * before it writes anything.
 * @throws BtfError BTF_LAYOUT when a column cannot go into its type
 */
export function copyEncoder(layout: Layout, columns: readonly CopyColumn[]): CopyEncoder {
  const captures = new Captures();
  const statements: string[] = [];
  let index = 0;
  while (index < columns.length) {
    const run = fixedRun(columns, index);
    if (run.length > 0) {
      statements.push(fixedSource(run, layout));
      index += run.length;
    } else {
      statements.push(variableSource(columns[index] as CopyColumn, layout, captures));
      index += 1;
    }
  }
  return captures.compile<CopyEncoder>(
    `${NAMED_SOURCE}\nreturn function (v, o, n, out) {\n${guard(layout.bytesMin)}\nlet w, p;\n${statements.join('\n')}\n};`,
  );
}

function fixedRun(columns: readonly CopyColumn[], from: number): CopyColumn[] {
  const end = columns.findIndex(
    ({ map, pgType }, i) => i >= from && (map !== undefined || FIXED_BYTES[pgType] === undefined),
  );
  return columns.slice(from, end < 0 ? columns.length : end);
}

function fixedSource(run: readonly CopyColumn[], layout: Layout): string {
  let at = 0;
  const writes = run.map(({ column, pgType }) => {
    const bytes = FIXED_BYTES[pgType] as number;
    const source = `w.setInt32(p + ${at}, ${bytes}); ${fixedValue(column, pgType, at + 4, layout)}`;
    at += 4 + bytes;
    return source;
  });
  return `out.reserve(${at}); w = out.view; p = out.position;\n${writes.join('\n')}\nout.position = p + ${at};`;
}

function fixedValue(column: Column, pgType: PgType, at: number, layout: Layout): string {
  const misfit = (): never => {
    throw new BtfError(
      'BTF_LAYOUT',
      `${column.path} (${column.kind} of ${column.bits} bits) does not fit into ${pgType}`,
    );
  };
  if (column.kind === 'bool' && pgType === 'bool')
    return `w.setUint8(p + ${at}, ${valueSource(column, layout, NONE)} ? 1 : 0);`;
  if (column.kind === 'float' && pgType === 'float4' && column.bits === 32) {
    return `w.setFloat32(p + ${at}, ${valueSource(column, layout, NONE)});`;
  }
  if (column.kind === 'float' && pgType === 'float8')
    return `w.setFloat64(p + ${at}, ${valueSource(column, layout, NONE)});`;
  if (column.kind !== 'int' && column.kind !== 'uint' && column.kind !== 'enum') return misfit();
  const signed = column.kind === 'int' || (column.kind === 'enum' && column.signed === true);
  // 64 bits into int8 is always allowed: the manifest has asked for a signed reading where the field is unsigned.
  if (pgType === 'int8' && column.bits === 64 && !column.bitfield) return copyWord(byteOffset(column), at, layout);
  const room = { int2: 16, int4: 32, int8: 64 }[pgType as 'int2' | 'int4' | 'int8'];
  if (room === undefined || (signed ? column.bits : column.bits + 1) > room) return misfit();
  const number = numberSource(column, signed, layout);
  if (pgType === 'int2') return `w.setInt16(p + ${at}, ${number});`;
  if (pgType === 'int4') return `w.setInt32(p + ${at}, ${number});`;
  if (column.bits > 32) return `w.setBigInt64(p + ${at}, ${number});`;
  return `w.setInt32(p + ${at}, ${signed ? `${number} >> 31` : '0'}); w.setInt32(p + ${at + 4}, ${number});`;
}

/** Eight bytes from the record's order into network order, without a bigint in between. */
function copyWord(from: number, at: number, { littleEndian }: Layout): string {
  const high = littleEndian ? from + 4 : from;
  const low = littleEndian ? from : from + 4;
  return (
    `w.setInt32(p + ${at}, v.getInt32(o + ${high}, ${littleEndian})); ` +
    `w.setInt32(p + ${at + 4}, v.getInt32(o + ${low}, ${littleEndian}));`
  );
}

/** Columns of the fixed types need no captured values. */
const NONE = new Captures();

function variableSource({ column, pgType, map }: CopyColumn, layout: Layout, captures: Captures): string {
  if (map !== undefined) return mappedSource(column, pgType, captures.add(map), layout, captures);
  const start = `o + ${Math.floor(column.offsetBits / 8)}`;
  const range = (): string => `v, ${start}, ${endSource(column)}`;
  if (pgType === 'text' && column.kind === 'text') return `out.textFromView(${range()});`;
  if (pgType === 'text' && column.kind === 'enum') return `out.text(String(${valueSource(column, layout, captures)}));`;
  if (pgType === 'bytea' && (column.kind === 'bytes' || column.kind === 'text'))
    return `out.byteaFromView(${range()});`;
  if (pgType === 'inet' && !column.bitfield && (column.bits === 32 || column.bits === 128)) {
    return `out.inetFromView(${range()});`;
  }
  if (pgType === 'numeric' && (column.kind === 'uint' || column.kind === 'int')) return numericSource(column, layout);
  if (pgType.endsWith('[]') && column.kind === 'array') return arraySource(column, pgType, layout);
  throw new BtfError('BTF_LAYOUT', `${column.path} (${column.kind}) does not fit into ${pgType}`);
}

function numericSource(column: Column, layout: Layout): string {
  if (column.kind === 'int' || column.bitfield || column.bits !== 64) {
    return `out.numeric(BigInt(${numberSource(column, column.kind === 'int', layout)}));`;
  }
  const at = byteOffset(column);
  const [high, low] = layout.littleEndian ? [at + 4, at] : [at, at + 4];
  const half = (offset: number): string => `v.getUint32(o + ${offset}, ${layout.littleEndian})`;
  return `out.numericFromHalves(${half(high)}, ${half(low)});`;
}

const WRITERS: Partial<Record<PgType, (value: string) => string>> = {
  bool: (value) => `out.bool(${value})`,
  int2: (value) => `out.int16(${value})`,
  int4: (value) => `out.int32(${value})`,
  int8: (value) => `out.int64(BigInt(${value}))`,
  float4: (value) => `out.float4(${value})`,
  float8: (value) => `out.float8(${value})`,
  numeric: (value) => `out.numeric(BigInt(${value}))`,
  text: (value) => `out.text(String(${value}))`,
  bytea: (value) => `out.bytea(${value})`,
  inet: (value) => `out.inet(${value})`,
};

function mappedSource(column: Column, pgType: PgType, map: string, layout: Layout, captures: Captures): string {
  const write = WRITERS[pgType];
  if (write === undefined) throw new BtfError('BTF_LAYOUT', `${column.path}: a mapped value cannot go into ${pgType}`);
  const value = valueSource(column, layout, captures);
  return `{ const x = ${map}(${value}); if (x === null || x === undefined) out.null(); else ${write('x')}; }`;
}

function arraySource(column: Column, pgType: PgType, layout: Layout): string {
  const element = elementOf(column);
  const itemType = pgType.slice(0, -2) as PgType;
  const write = WRITERS[itemType];
  const oid = ELEMENT_OIDS[itemType];
  if (write === undefined || oid === undefined || itemType !== elementType(element)) {
    throw new BtfError('BTF_LAYOUT', `${column.path} does not fit into ${pgType}`);
  }
  const item = elementSource(element, `o + ${byteOffset(column)} + i * ${element.bytes}`, layout);
  return `out.array(${oid}, ${element.count}, (i) => { ${write(item)}; });`;
}
