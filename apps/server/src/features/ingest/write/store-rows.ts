import type pg from 'pg';
import type { CopyWriter } from '@bpfleet/btf';
import { seriesText, type SeriesIds } from './series-ids.js';
import { copyInto } from './copy.js';
import { wholeCount } from '../decode/copy-values.js';
import type { CopyTarget, PointRow, Rows } from '../decode/rows.js';
import type { Dictionaries, DictionaryDrops } from './dictionaries.js';

const SAMPLE: CopyTarget = { table: 'sample', columns: ['ts', 'series', 'value'] };
const HIST: CopyTarget = { table: 'hist', columns: ['ts', 'series', 'sum', 'count', 'buckets'] };
const INT8_OID = 20;

/** Rows that a bound kept out. */
export interface RowDrops extends DictionaryDrops {
  readonly pointsDropped: number;
}

export interface StoredRows {
  readonly seriesIds: ReadonlyMap<string, bigint>;
  readonly drops: RowDrops;
}

/** Writes everything of `rows` inside of the caller's transaction. Locks are taken in one order by every writer. */
export async function storeRows(
  client: pg.Client,
  rows: Rows,
  { series, dictionaries }: { readonly series: SeriesIds; readonly dictionaries: Dictionaries },
): Promise<StoredRows> {
  const seriesIds = await series.resolve(client, seriesOf(rows.points));
  let pointsDropped = 0;
  for (const point of rows.points) {
    const id = seriesIds.get(seriesText(point.series));
    if (id === undefined) pointsDropped += 1;
    else encodePoint(rows, point, id);
  }
  const drops = await dictionaries.store(client, rows);
  for (const { sql, bytes } of rows.copies()) await copyInto(client, sql, bytes);
  return { seriesIds, drops: { ...drops, pointsDropped } };
}

function* seriesOf(points: readonly PointRow[]) {
  for (const { series } of points) yield series;
}

function encodePoint(rows: Rows, point: PointRow, id: bigint): void {
  const target = point.kind === 'sample' ? SAMPLE : HIST;
  const table = rows.table(target);
  const { writer } = table;
  writer.tuple(target.columns.length);
  writer.timestamptz(point.micros);
  writer.int64(id);
  if (point.kind === 'sample') {
    orNull(writer, point.value);
  } else {
    orNull(writer, point.sum);
    writer.int64(wholeCount(point.count));
    writer.array(INT8_OID, point.buckets.length, (index) => writer.int64(wholeCount(point.buckets[index] ?? 0)));
  }
  table.rows += 1;
}

function orNull(writer: CopyWriter, value: number | null): void {
  if (value === null) writer.null();
  else writer.float8(value);
}
