import { Injectable } from '@nestjs/common';
import { bucketBounds, eventColumns, type MetricManifest, type ProbeManifest } from '@bpfleet/probe';
import type { BpfObjectFile } from '@bpfleet/btf';
import pg from 'pg';
import { Config } from '../../../config/config.js';
import { Clock } from '../../../platform/clock.js';
import { ControlSql } from '../../../platform/sql/control-sql.js';
import {
  columnsToAdd,
  eventTableName,
  eventViewName,
  FIXED_COLUMNS,
  type EventTableColumn,
  type WantedField,
} from './event-table-plan.js';
import { inTransaction, withSchemaLock } from './migrate.js';
import { makePartitions, qualified, retryingLocks } from './partitions.js';
import { grantRoles } from './roles.js';
import { telemetryLimits } from './settings.js';
import { TelemetryError } from './telemetry-error.js';

export interface ReleaseSchema {
  /** Of the release's row; only for messages. */
  readonly releaseId: string;
  readonly manifest: ProbeManifest;
  readonly object: BpfObjectFile;
}

/** Types that libs/probe may ask for; anything else never reaches DDL. */
const PG_TYPES: ReadonlySet<string> = new Set([
  ...['bool', 'int2', 'int4', 'int8', 'numeric', 'float4', 'float8', 'text', 'bytea', 'inet', 'timestamptz'],
  ...['bool[]', 'int2[]', 'int4[]', 'int8[]', 'numeric[]', 'float8[]'],
]);

/** Control's DDL: what a release's telemetry needs in the store, before any device may run it (DESIGN §9). */
@Injectable()
export class EventTables {
  constructor(
    private readonly sql: ControlSql,
    private readonly clock: Clock,
    private readonly config: Config,
  ) {}

  /**
   * Makes or widens one table for each event of the release and notes what its metrics mean. May be called again.
   * @throws TelemetryError TELEMETRY_LIMIT (tables, columns, partitions), TELEMETRY_DDL_BUSY
   */
  async ensureFor(release: ReleaseSchema): Promise<void> {
    const client = await this.sql.pool.connect();
    try {
      await withSchemaLock(client, async () => {
        for (const event of release.manifest.events) await this.ensureEvent(client, release, event.name);
        await noteMetrics(client, release);
        await grantRoles(client);
      });
    } finally {
      client.release();
    }
  }

  private async ensureEvent(client: pg.ClientBase, release: ReleaseSchema, event: string): Promise<void> {
    const fields = fieldsOf(release, event);
    const table = await retryingLocks(() =>
      inTransaction(client, async () => {
        await client.query(`SET LOCAL lock_timeout = ${telemetryLimits.ddlLockTimeoutMs}`);
        const names = await ensureTable(client, release.manifest.name, event);
        const existing = await columnsOfTable(client, names.table);
        const added = columnsToAdd(existing, fields);
        await addColumns(client, names.table, existing.length, added);
        if (added.length > 0 || existing.length === 0) await makeView(client, names, [...existing, ...added]);
        return names.table;
      }),
    );
    await makePartitions(client, table, this.clock.now(), this.config.retentionDays);
  }
}

function fieldsOf({ manifest, object }: ReleaseSchema, event: string): WantedField[] {
  return eventColumns(manifest, object, event).map(({ name, pgType, dictionary }) => {
    if (!PG_TYPES.has(pgType)) throw new RangeError(`no column can have the type ${pgType}`);
    return { name, pgType, dictionary };
  });
}

interface EventTableNames {
  readonly table: string;
  readonly view: string;
}

async function ensureTable(client: pg.ClientBase, probe: string, event: string): Promise<EventTableNames> {
  const known = await client.query<EventTableNames>(
    'SELECT table_name AS table, view_name AS view FROM telemetry.event_table WHERE probe = $1 AND event = $2',
    [probe, event],
  );
  if (known.rows[0]) return known.rows[0];
  const { rows } = await client.query<{ name: string; tables: number }>(
    `SELECT relname AS name, (SELECT count(*)::int FROM telemetry.event_table) AS tables
     FROM pg_class WHERE relnamespace = 'telemetry'::regnamespace`,
  );
  const tables = rows[0]?.tables ?? 0;
  if (tables >= telemetryLimits.eventTablesMax) {
    throw new TelemetryError(
      'TELEMETRY_LIMIT',
      `the store has ${tables} event tables of ${telemetryLimits.eventTablesMax}, so ${probe} cannot have one for ${event}: publish it without events that are new to the store, as metrics or a profile`,
      { tables, tablesMax: telemetryLimits.eventTablesMax },
    );
  }
  const table = eventTableName(probe, event);
  const view = eventViewName(probe, event, new Set(rows.map((row) => row.name)));
  const index = (kind: string) => pg.escapeIdentifier(`${table}_${kind}`);
  await client.query(`
    CREATE TABLE ${qualified(table)} (ts timestamptz NOT NULL, device text NOT NULL, run text NOT NULL, release text NOT NULL)
      PARTITION BY RANGE (ts);
    CREATE INDEX ${index('ts')} ON ${qualified(table)} USING brin (ts);
    CREATE INDEX ${index('device')} ON ${qualified(table)} (device, ts);`);
  await client.query(
    'INSERT INTO telemetry.event_table (probe, event, table_name, view_name) VALUES ($1, $2, $3, $4)',
    [probe, event, table, view],
  );
  return { table, view };
}

export async function columnsOfTable(client: pg.ClientBase | pg.Pool, table: string): Promise<EventTableColumn[]> {
  const { rows } = await client.query<EventTableColumn>(
    `SELECT column_name AS "columnName", field, pg_type AS "pgType", dictionary
     FROM telemetry.event_column WHERE table_name = $1 ORDER BY position`,
    [table],
  );
  return rows;
}

async function addColumns(
  client: pg.ClientBase,
  table: string,
  position: number,
  added: readonly EventTableColumn[],
): Promise<void> {
  if (added.length === 0) return;
  const clauses = added.map(({ columnName, pgType }) => `ADD COLUMN ${pg.escapeIdentifier(columnName)} ${pgType}`);
  await client.query(`ALTER TABLE ${qualified(table)} ${clauses.join(', ')}`);
  for (const [index, { columnName, field, pgType, dictionary }] of added.entries()) {
    await client.query(
      `INSERT INTO telemetry.event_column (table_name, column_name, field, pg_type, dictionary, position)
       VALUES ($1, $2, $3, $4, $5, $6)`,
      [table, columnName, field, pgType, dictionary, position + index],
    );
  }
}

/** New columns come last, which is what CREATE OR REPLACE VIEW allows. */
async function makeView(
  client: pg.ClientBase,
  { table, view }: EventTableNames,
  columns: readonly EventTableColumn[],
): Promise<void> {
  const names = [...FIXED_COLUMNS, ...columns.map(({ columnName }) => columnName)].map((name) =>
    pg.escapeIdentifier(name),
  );
  await client.query(
    `CREATE OR REPLACE VIEW ${qualified(view)} AS SELECT ${names.join(', ')} FROM ${qualified(table)}`,
  );
}

async function noteMetrics(client: pg.ClientBase, { manifest, object }: ReleaseSchema): Promise<void> {
  for (const metric of manifest.metrics) {
    const bounds = metric.type === 'histogram' ? [...bucketBounds(manifest, object, metric.name)] : null;
    await client.query(
      `INSERT INTO telemetry.metric (probe, release, metric, type, unit, help, labels, bounds)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
      [
        manifest.name,
        manifest.version,
        metric.name,
        metric.type,
        unitOf(metric),
        metric.help ?? null,
        Object.keys(metric.labels),
        bounds,
      ],
    );
  }
}

/** Names decide the unit that is stored: `*_seconds` and `*_bytes` are what they say, whatever the program counts in. */
export function unitOf(metric: Pick<MetricManifest, 'name' | 'unit'>): string | null {
  if (/_seconds(_total)?$/.test(metric.name)) return 's';
  return /_bytes(_total)?$/.test(metric.name) ? 'bytes' : (metric.unit ?? null);
}
