import pg from 'pg';
import { ConfigError } from '../../../config/config.js';
import { inTransaction } from './migrate.js';
import { isExpired, partitionsPerTable, partitionsWanted, retentionDaysMax, type Partition } from './partition-plan.js';
import { telemetryLimits } from './settings.js';
import { TelemetryError } from './telemetry-error.js';

export interface PartitionChanges {
  readonly made: string[];
  readonly dropped: string[];
}

const LOCK_NOT_AVAILABLE = '55P03';

export async function partitionedTables(client: pg.ClientBase): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT c.relname AS name FROM pg_partitioned_table p JOIN pg_class c ON c.oid = p.partrelid
     WHERE c.relnamespace = 'telemetry'::regnamespace ORDER BY 1`,
  );
  return rows.map((row) => row.name);
}

/**
 * Said at the start, since a store that is full later on takes no more telemetry.
 * @throws ConfigError when the retention asks for more partitions than the tables may have
 */
export function assertRetentionFits(retentionDays: number, tables: number): void {
  const wanted = partitionsPerTable(retentionDays) * tables;
  if (wanted <= telemetryLimits.partitionsMax) return;
  throw new ConfigError(
    `BPFLEET_RETENTION_DAYS: ${retentionDays} days take ${wanted} partitions for the ${tables} tables of this store, which may have ${telemetryLimits.partitionsMax}; at most ${retentionDaysMax(tables)} days fit`,
  );
}

/**
 * Makes the partitions that rows of the next two weeks and of the retention need. A partition is made beside the table
 * and attached: PARTITION OF takes a lock behind which every COPY waits for the slowest reader.
 * @throws TelemetryError TELEMETRY_LIMIT at 2,000 partitions
 */
export async function makePartitions(
  client: pg.ClientBase,
  table: string,
  now: Date,
  retentionDays: number,
): Promise<string[]> {
  const existing = new Set((await childrenOf(client, table)).map((child) => child.name));
  const missing = partitionsWanted(table, now, retentionDays).filter(({ name }) => !existing.has(name));
  if (missing.length === 0) return [];
  await assertRoom(client, table, missing.length);
  for (const partition of missing) {
    await retryingLocks(() => inTransaction(client, () => makeOne(client, table, partition)));
  }
  return missing.map(({ name }) => name);
}

async function makeOne(client: pg.ClientBase, table: string, { name, from, to }: Partition): Promise<void> {
  await client.query(`SET LOCAL lock_timeout = ${telemetryLimits.ddlLockTimeoutMs}`);
  const child = qualified(name);
  await client.query(`CREATE TABLE ${child} (LIKE ${qualified(table)} INCLUDING DEFAULTS INCLUDING STORAGE)`);
  // ATTACH makes the table's indexes on the partition too; it is empty, so that costs nothing.
  await client.query(
    `ALTER TABLE ${qualified(table)} ATTACH PARTITION ${child}
     FOR VALUES FROM ('${from.toISOString()}') TO ('${to.toISOString()}')`,
  );
}

async function assertRoom(client: pg.ClientBase, table: string, wanted: number): Promise<void> {
  const { rows } = await client.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
     WHERE c.relnamespace = 'telemetry'::regnamespace AND c.relkind = 'r'`,
  );
  const count = rows[0]?.count ?? 0;
  if (count + wanted <= telemetryLimits.partitionsMax) return;
  throw new TelemetryError(
    'TELEMETRY_LIMIT',
    `${table} needs ${wanted} partitions more, and the store has ${count} of ${telemetryLimits.partitionsMax} already: set BPFLEET_RETENTION_DAYS lower on all servers; what is older then goes within the hour`,
    { table, count, wanted },
  );
}

/**
 * Drops what is past its retention: first out of the table without stopping readers or writers, then away. Goes on where
 * an earlier call was interrupted.
 */
export async function dropExpired(
  client: pg.ClientBase,
  table: string,
  now: Date,
  retentionDays: number,
): Promise<string[]> {
  const expired = (await childrenOf(client, table)).filter((child) => isExpired(child.name, now, retentionDays));
  await client.query(`SET lock_timeout = ${telemetryLimits.ddlLockTimeoutMs}`);
  try {
    for (const { name } of expired) await retryingLocks(() => detach(client, table, name));
    const detached = await detachedOf(client, table);
    for (const name of detached) await retryingLocks(() => client.query(`DROP TABLE ${qualified(name)}`));
    return detached;
  } finally {
    await client.query('RESET lock_timeout').catch(() => undefined);
  }
}

/** A DETACH that gave up waiting for a reader has already begun: from then on it can only be finished. */
async function detach(client: pg.ClientBase, table: string, name: string): Promise<void> {
  const child = (await childrenOf(client, table)).find((one) => one.name === name);
  if (child === undefined) return;
  const how = child.pending ? 'FINALIZE' : 'CONCURRENTLY';
  await client.query(`ALTER TABLE ${qualified(table)} DETACH PARTITION ${qualified(name)} ${how}`);
}

async function childrenOf(client: pg.ClientBase, table: string): Promise<{ name: string; pending: boolean }[]> {
  const { rows } = await client.query<{ name: string; pending: boolean }>(
    `SELECT c.relname AS name, i.inhdetachpending AS pending
     FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
     WHERE i.inhparent = to_regclass($1) ORDER BY 1`,
    [qualified(table)],
  );
  return rows;
}

/** Partitions of `table` by name that are no longer part of it. */
async function detachedOf(client: pg.ClientBase, table: string): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT c.relname AS name FROM pg_class c
     WHERE c.relnamespace = 'telemetry'::regnamespace AND c.relkind = 'r' AND NOT c.relispartition
       AND c.relname ~ ('^' || $1 || '_p[0-9]{8}$') ORDER BY 1`,
    [table],
  );
  return rows.map((row) => row.name);
}

/** DDL that waits for a lock makes all others wait behind it, so each attempt is short. */
export async function retryingLocks<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; attempt <= telemetryLimits.ddlAttemptsMax; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if ((error as pg.DatabaseError).code !== LOCK_NOT_AVAILABLE) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100 * attempt));
    }
  }
  throw new TelemetryError('TELEMETRY_DDL_BUSY', 'a long query holds the table; the change is tried again later');
}

export function qualified(name: string): string {
  return `telemetry.${pg.escapeIdentifier(name)}`;
}
