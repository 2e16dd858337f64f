import type pg from 'pg';
import type { CopyWriter } from '@bpfleet/btf';
import { seriesText, type SeriesIds } from './series-ids.js';
import { copyInto } from './copy.js';
import { wholeCount } from '../decode/copy-values.js';
import type { CopyTarget, NameRow, PointRow, Rows, StackRow } from '../decode/rows.js';

const SAMPLE: CopyTarget = { table: 'sample', columns: ['ts', 'series', 'value'] };
const HIST: CopyTarget = { table: 'hist', columns: ['ts', 'series', 'sum', 'count', 'buckets'] };
const INT8_OID = 20;

export interface StoredRows {
  readonly seriesIds: ReadonlyMap<string, bigint>;
  readonly pointsDropped: number;
}

/** Writes everything of `rows` inside of the caller's transaction. Locks are taken in one order by every writer. */
export async function storeRows(client: pg.Client, rows: Rows, series: SeriesIds): Promise<StoredRows> {
  const seriesIds = await series.resolve(client, seriesOf(rows.points));
  let pointsDropped = 0;
  for (const point of rows.points) {
    const id = seriesIds.get(seriesText(point.series));
    if (id === undefined) pointsDropped += 1;
    else encodePoint(rows, point, id);
  }
  await storeStacks(client, rows.stacks);
  await storeNames(client, rows.names);
  for (const { sql, bytes } of rows.copies()) await copyInto(client, sql, bytes);
  return { seriesIds, pointsDropped };
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

async function storeStacks(client: pg.Client, stacks: readonly StackRow[]): Promise<void> {
  // The last one of an id wins, as it would if each came alone.
  const last = [
    ...new Map(stacks.map((stack) => [`${stack.run} ${stack.boot} ${stack.map} ${stack.id}`, stack])).values(),
  ];
  if (last.length === 0) return;
  await client.query(
    `INSERT INTO telemetry.stack AS s (run, boot, map, id, device, frames)
     SELECT run, boot, map, id, device, frames::bigint[]
     FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[]) AS n (run, boot, map, id, device, frames)
     ORDER BY run, boot, map, id
     ON CONFLICT (run, boot, map, id) DO UPDATE SET frames = excluded.frames, seen_at = now()
       WHERE s.frames IS DISTINCT FROM excluded.frames`,
    [
      last.map(({ run }) => run),
      last.map(({ boot }) => boot),
      last.map(({ map }) => map),
      last.map(({ id }) => id),
      last.map(({ device }) => device),
      last.map(({ frames }) => `{${frames.join(',')}}`),
    ],
  );
}

async function storeNames(client: pg.Client, names: readonly NameRow[]): Promise<void> {
  const last = [...new Map(names.map((one) => [`${one.device} ${one.kind} ${one.id} ${one.boot}`, one])).values()];
  if (last.length === 0) return;
  await client.query(
    `INSERT INTO telemetry.name AS s (device, boot, kind, id, name)
     SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) AS n (device, boot, kind, id, name)
     ORDER BY device, kind, id, boot
     ON CONFLICT (device, kind, id, boot) DO UPDATE SET name = excluded.name, seen_at = now()
       WHERE s.name IS DISTINCT FROM excluded.name`,
    [
      last.map(({ device }) => device),
      last.map(({ boot }) => boot),
      last.map(({ kind }) => kind),
      last.map(({ id }) => id),
      last.map(({ name }) => name),
    ],
  );
}
