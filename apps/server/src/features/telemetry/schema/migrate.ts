import { createHash } from 'node:crypto';
import type pg from 'pg';
import { telemetryMigrations } from './migrations.js';
import { TelemetryError } from './telemetry-error.js';

/** Held by whoever changes the telemetry schema: migrations, event tables and partitions come one after the other. */
export const SCHEMA_LOCK = 0x6270_7465;

/**
 * Applies what is missing, each migration in a transaction of its own. Any number of servers may call it at once.
 * @returns the names of those it applied
 * @throws TelemetryError TELEMETRY_MIGRATION when an applied migration has been edited since
 */
export async function migrateTelemetry(client: pg.ClientBase): Promise<string[]> {
  return withSchemaLock(client, async () => {
    await client.query('CREATE SCHEMA IF NOT EXISTS telemetry');
    await client.query(`CREATE TABLE IF NOT EXISTS telemetry.migration (
      name text PRIMARY KEY, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`);
    const { rows } = await client.query<{ name: string; checksum: string }>(
      'SELECT name, checksum FROM telemetry.migration',
    );
    const applied = new Map(rows.map((row) => [row.name, row.checksum]));
    const done: string[] = [];
    for (const { name, sql } of telemetryMigrations) {
      const checksum = createHash('sha256').update(sql).digest('hex');
      const known = applied.get(name);
      if (known === checksum) continue;
      if (known !== undefined) {
        throw new TelemetryError('TELEMETRY_MIGRATION', `migration ${name} was edited after it was applied`, { name });
      }
      await inTransaction(client, async () => {
        await client.query(sql);
        await client.query('INSERT INTO telemetry.migration (name, checksum) VALUES ($1, $2)', [name, checksum]);
      });
      done.push(name);
    }
    return done;
  });
}

/** Serialises everything that changes the schema, over all servers. The lock belongs to the session of `client`. */
export async function withSchemaLock<T>(client: pg.ClientBase, work: () => Promise<T>): Promise<T> {
  await client.query('SELECT pg_advisory_lock($1)', [SCHEMA_LOCK]);
  try {
    return await work();
  } finally {
    // When the connection is gone the lock is gone with it.
    await client.query('SELECT pg_advisory_unlock($1)', [SCHEMA_LOCK]).catch(() => undefined);
  }
}

export async function inTransaction<T>(client: pg.ClientBase, work: () => Promise<T>): Promise<T> {
  await client.query('BEGIN');
  try {
    const result = await work();
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}
