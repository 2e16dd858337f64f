import type { Relocation } from '../core/relocation.js';
import { RELOCATION_KINDS } from '../core/relocation.js';
import { BtfError } from '../error.js';

const MAGIC = 0xeb9f;
const HEADER_BYTES = 24;
/** Length of the header once CO-RE was added to it. */
const HEADER_BYTES_WITH_CORE = 32;
const RECORDS_MAX = 1_000_000;
const FUNC_RECORD_BYTES = 8;
const LINE_RECORD_BYTES = 16;
const CORE_RECORD_BYTES = 16;

/** Where a function begins, and the `func` type it has. */
export interface FunctionInfo {
  readonly section: string;
  readonly offset: number;
  readonly typeId: number;
}

/** From this byte offset on, instructions come from this line, until the next record. */
export interface LineInfo {
  readonly section: string;
  readonly offset: number;
  readonly file: string;
  readonly text: string;
  readonly line: number;
  readonly column: number;
}

export interface BtfExt {
  readonly functions: readonly FunctionInfo[];
  readonly lines: readonly LineInfo[];
  readonly relocations: readonly Relocation[];
}

/**
 * Reads `.BTF.ext`. Its strings are those of `.BTF`.
 * @throws BtfError OBJECT_INVALID, BTF_LIMIT
 */
export function parseBtfExt(bytes: Uint8Array, stringAt: (offset: number) => string): BtfExt {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.byteLength < HEADER_BYTES) throw new BtfError('OBJECT_INVALID', '.BTF.ext is shorter than its header', 0);
  const littleEndian = view.getUint16(0, true) === MAGIC;
  if (!littleEndian && view.getUint16(0, false) !== MAGIC) {
    throw new BtfError('OBJECT_INVALID', '.BTF.ext has no magic number', 0);
  }
  const headerBytes = view.getUint32(4, littleEndian);
  const table = (at: number, recordBytesMin: number): Table => ({
    view,
    littleEndian,
    stringAt,
    start: headerBytes + view.getUint32(at, littleEndian),
    bytes: view.getUint32(at + 4, littleEndian),
    recordBytesMin,
  });
  const hasCore = headerBytes >= HEADER_BYTES_WITH_CORE && view.byteLength >= HEADER_BYTES_WITH_CORE;
  return {
    functions: readTable(table(8, FUNC_RECORD_BYTES), readFunction),
    lines: readTable(table(16, LINE_RECORD_BYTES), readLine),
    relocations: hasCore ? readTable(table(24, CORE_RECORD_BYTES), readRelocation) : [],
  };
}

interface Table {
  readonly view: DataView;
  readonly littleEndian: boolean;
  readonly stringAt: (offset: number) => string;
  readonly start: number;
  readonly bytes: number;
  readonly recordBytesMin: number;
}

type ReadRecord<T> = (table: Table, at: number, section: string) => T;

/** A table is the size of one record, then per section a name, a count and that many records. */
function readTable<T>(table: Table, readRecord: ReadRecord<T>): T[] {
  const records: T[] = [];
  if (table.bytes === 0) return records;
  const end = table.start + table.bytes;
  const check = (at: number, bytes: number): void => {
    if (at + bytes > end) throw new BtfError('OBJECT_INVALID', 'a table of .BTF.ext is cut off', at);
  };
  if (end > table.view.byteLength) throw new BtfError('OBJECT_INVALID', 'a table of .BTF.ext reaches past the end');
  check(table.start, 4);
  const recordBytes = u32(table, table.start);
  if (recordBytes < table.recordBytesMin) {
    throw new BtfError('OBJECT_INVALID', `.BTF.ext has records of ${recordBytes} bytes`, table.start);
  }
  let at = table.start + 4;
  while (at < end) {
    check(at, 8);
    const section = table.stringAt(u32(table, at));
    const count = u32(table, at + 4);
    at += 8;
    check(at, count * recordBytes);
    if (records.length + count > RECORDS_MAX) throw new BtfError('BTF_LIMIT', `more than ${RECORDS_MAX} records`);
    for (let index = 0; index < count; index += 1, at += recordBytes) records.push(readRecord(table, at, section));
  }
  return records;
}

function u32(table: Table, at: number): number {
  return table.view.getUint32(at, table.littleEndian);
}

function readFunction(table: Table, at: number, section: string): FunctionInfo {
  return { section, offset: u32(table, at), typeId: u32(table, at + 4) };
}

function readLine(table: Table, at: number, section: string): LineInfo {
  const lineAndColumn = u32(table, at + 12);
  return {
    section,
    offset: u32(table, at),
    file: table.stringAt(u32(table, at + 4)),
    text: table.stringAt(u32(table, at + 8)),
    line: lineAndColumn >>> 10,
    column: lineAndColumn & 0x3ff,
  };
}

function readRelocation(table: Table, at: number, section: string): Relocation {
  const kindNumber = u32(table, at + 12);
  const kind = RELOCATION_KINDS[kindNumber];
  if (kind === undefined) throw new BtfError('OBJECT_INVALID', `unknown CO-RE relocation kind ${kindNumber}`, at);
  return {
    section,
    offset: u32(table, at),
    typeId: u32(table, at + 4),
    access: table.stringAt(u32(table, at + 8)),
    kind,
  };
}
