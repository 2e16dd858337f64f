import { Injectable } from '@nestjs/common';
import pg from 'pg';
import type { EventsResponse } from '@bpfleet/api';
import type { QueryOf } from '../../../http/route.js';
import { Clock } from '../../../platform/clock.js';
import { DomainError, notFound } from '../../../platform/errors.js';
import type { EventTableColumn } from '../schema/event-table-plan.js';
import { columnsOfTable } from '../schema/event-tables.js';
import { qualified } from '../schema/partitions.js';
import { telemetryLimits } from '../schema/settings.js';
import { eventValue, type EventValue } from './event-value.js';
import { TelemetryReads } from './telemetry-reads.js';
import { timeRange } from './time-grid.js';

const DEFAULT_RANGE_MS = 24 * 3600_000;
const RUN_RANGE_MS = 30 * 24 * 3600_000;
const CURSOR = /^(\d{1,18})-(\d{1,10})-(\d{1,5})$/;

interface Position {
  readonly micros: string;
  readonly ctid: string;
}

interface Source {
  readonly table: string;
  readonly columns: readonly EventTableColumn[];
  /** Further conditions, the values of which come after the fixed ones. */
  readonly where: readonly string[];
  readonly values: readonly unknown[];
  readonly debug: boolean;
}

interface RawRow {
  /** Position in the table; names that no column of an event can have. */
  readonly 'at µs': string;
  readonly 'at ctid': string;
  readonly ts: Date;
  readonly device: string;
  readonly run: string;
  readonly fields?: Readonly<Record<string, unknown>>;
  readonly [column: string]: unknown;
}

/** Events as the kernel saw them, newest first. Rows are only ever added, so (time, place in the table) is a stable cursor. */
@Injectable()
export class EventsQuery {
  constructor(
    private readonly reads: TelemetryReads,
    private readonly clock: Clock,
  ) {}

  /** @throws DomainError EVENT_UNKNOWN, RUN_UNKNOWN, CURSOR_INVALID, RANGE_INVALID, QUERY_TOO_LARGE */
  async run(query: QueryOf<'events'>): Promise<EventsResponse> {
    // A device whose clock is ahead is believed as far as that, and its newest events are to be seen now.
    const latest = new Date(this.clock.now().getTime() + telemetryLimits.futureMsMax);
    const range = timeRange(query, latest, query.run === undefined ? DEFAULT_RANGE_MS : RUN_RANGE_MS);
    const after = query.cursor === undefined ? undefined : parseCursor(query.cursor);
    return this.reads.read(async (client) => {
      const source = await sourceOf(client, query);
      const { sql, values } = selectFrom(source, range, after, query.limit + 1);
      const { rows } = await client.query<RawRow>(sql, values);
      const page = rows.slice(0, query.limit);
      const names = await namesFor(client, source.columns, page);
      const last = page.at(-1);
      return {
        columns: columnsShown(source, page),
        rows: page.map((row) => ({
          at: row.ts.toISOString(),
          device: row.device,
          run: row.run,
          fields: source.debug ? debugFields(row) : typedFields(row, source.columns, names),
        })),
        nextCursor: rows.length > page.length && last ? cursorOf(last) : null,
      };
    });
  }
}

async function sourceOf(client: pg.ClientBase, query: QueryOf<'events'>): Promise<Source> {
  const run = query.run === undefined ? undefined : await runOf(client, query.run);
  const device = run?.device ?? query.device;
  const where: string[] = [];
  const values: unknown[] = [];
  const add = (column: string, value: string | undefined) => {
    if (value === undefined) return;
    values.push(value);
    where.push(`${column} = $${values.length + 2}`);
  };
  add('device', device);
  add('run', query.run);
  if (query.device !== undefined && query.device !== device) where.push('false');
  const { rows } = await client.query<{ table: string }>(
    'SELECT table_name AS table FROM telemetry.event_table WHERE probe = $1 AND event = $2',
    [query.probe, query.event],
  );
  const table = rows[0]?.table;
  const columns = table === undefined ? [] : await columnsOfTable(client, table);
  if (table !== undefined && !run?.debug) return { table, columns, where, values, debug: false };
  if (!run?.debug) throw notFound('event', `${query.probe}.${query.event}`);
  add('probe', query.probe);
  add('event', query.event);
  return { table: 'debug_event', columns, where, values, debug: true };
}

async function runOf(client: pg.ClientBase, id: string): Promise<{ device: string; debug: boolean }> {
  const { rows } = await client.query<{ device: string; debug: boolean }>(
    `SELECT "deviceId" AS device, kind = 'debug' AS debug FROM "Run" WHERE id = $1`,
    [id],
  );
  if (!rows[0]) throw notFound('run', id);
  return rows[0];
}

function selectFrom(
  { table, columns, where, values, debug }: Source,
  range: { from: Date; to: Date },
  after: Position | undefined,
  limit: number,
): { sql: string; values: unknown[] } {
  const all = [range.from, range.to, ...values];
  const conditions = ['ts >= $1', 'ts < $2', ...where];
  if (after !== undefined) {
    const at = `'epoch'::timestamptz + $${all.push(after.micros)}::bigint * interval '1 microsecond'`;
    // All rows of one time lie in one partition, so their places in it can be compared.
    conditions.push(`ts <= ${at} AND (ts < ${at} OR ctid < $${all.push(after.ctid)}::tid)`);
  }
  const fields = debug ? ['fields'] : columns.map(({ columnName }) => pg.escapeIdentifier(columnName));
  const sql = `SELECT ${['ts', 'device', 'run', ...fields].join(', ')},
      (extract(epoch FROM ts) * 1000000)::bigint::text AS "at µs", ctid::text AS "at ctid"
    FROM ${qualified(table)} WHERE ${conditions.join(' AND ')} ORDER BY ts DESC, ctid DESC LIMIT $${all.push(limit)}`;
  return { sql, values: all };
}

function columnsShown({ columns, debug }: Source, page: readonly RawRow[]): EventsResponse['columns'] {
  if (!debug || columns.length > 0)
    return columns.map(({ columnName, pgType }) => ({ name: columnName, type: pgType }));
  const names = new Set(page.flatMap(({ fields }) => Object.keys(fields ?? {})));
  return [...names].map((name) => ({ name, type: 'json' }));
}

function typedFields(
  row: RawRow,
  columns: readonly EventTableColumn[],
  names: ReadonlyMap<string, string>,
): Record<string, EventValue> {
  const entries = columns.map(({ columnName, pgType, dictionary }): [string, EventValue] => {
    const value = eventValue(row[columnName], pgType);
    const name = dictionary === null ? undefined : names.get(nameKey(row.device, dictionary, String(row[columnName])));
    return [columnName, name ?? value];
  });
  return Object.fromEntries(entries);
}

function debugFields({ fields }: RawRow): Record<string, EventValue> {
  return Object.fromEntries(Object.entries(fields ?? {}).map(([name, value]) => [name, eventValue(value, 'json')]));
}

/** Names that the devices of this page sent for the ids in it. */
async function namesFor(
  client: pg.ClientBase,
  columns: readonly EventTableColumn[],
  page: readonly RawRow[],
): Promise<Map<string, string>> {
  const named = columns.filter(({ dictionary }) => dictionary !== null);
  if (named.length === 0 || page.length === 0) return new Map();
  const ids = new Set(page.flatMap((row) => named.map((c) => String(row[c.columnName]))));
  const { rows } = await client.query<{ device: string; kind: string; id: string; name: string }>(
    `SELECT DISTINCT ON (device, kind, id) device, kind, id, name FROM telemetry.name
     WHERE device = ANY ($1) AND kind = ANY ($2) AND id = ANY ($3) ORDER BY device, kind, id, seen_at DESC`,
    [[...new Set(page.map(({ device }) => device))], named.map(({ dictionary }) => dictionary), [...ids]],
  );
  return new Map(rows.map(({ device, kind, id, name }) => [nameKey(device, kind, id), name]));
}

function nameKey(device: string, kind: string, id: string): string {
  return `${device} ${kind} ${id}`;
}

function cursorOf(row: RawRow): string {
  const [block, item] = row['at ctid'].replace(/[()]/g, '').split(',');
  return `${row['at µs']}-${block}-${item}`;
}

function parseCursor(text: string): Position {
  const match = CURSOR.exec(text);
  if (!match) throw new DomainError(400, 'CURSOR_INVALID', 'pass the nextCursor of the page before, as it came');
  return { micros: match[1] as string, ctid: `(${match[2]},${match[3]})` };
}
