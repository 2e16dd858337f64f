import type { Column } from '../layout/column.js';
import { Captures, guard, identifier, NAMED_SOURCE, valueSource } from './source.js';
import type { Layout } from './source.js';

/** One property of a row: a column under a name of its own, and what is to be made of its value. */
export interface RowField {
  readonly name: string;
  readonly column: Column;
  readonly map?: (value: unknown) => unknown;
}

export type RowDecoder<T = Record<string, unknown>> = (view: DataView, offset: number, bytes: number) => T;

/**
 * Generates a decoder from records to flat objects. The decoder throws BtfError RECORD_SHORT for a record shorter than
 * `layout.bytesMin`.
 * @throws BtfError BTF_IDENTIFIER, BTF_LAYOUT for an opaque column
 */
export function rowDecoder(layout: Layout, fields: readonly RowField[]): RowDecoder {
  const captures = new Captures();
  const properties = fields.map(({ name, column, map }) => {
    const value = valueSource(column, layout, captures);
    return `${identifier(name)}: ${map === undefined ? value : `${captures.add(map)}(${value})`}`;
  });
  return captures.compile<RowDecoder>(
    `${NAMED_SOURCE}\nreturn function (v, o, n) {\n${guard(layout.bytesMin)}\nreturn { ${properties.join(', ')} };\n};`,
  );
}

/** Generates a reader of one column, unmapped. */
export function columnReader(layout: Layout, column: Column): RowDecoder<unknown> {
  const captures = new Captures();
  const value = valueSource(column, layout, captures);
  return captures.compile<RowDecoder<unknown>>(
    `${NAMED_SOURCE}\nreturn function (v, o, n) {\n${guard(layout.bytesMin)}\nreturn ${value};\n};`,
  );
}
