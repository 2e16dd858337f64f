import type pg from 'pg';

const UNDEFINED_TABLE = '42P01';
/** A writer that is in trouble says so each half minute. */
const RECENT = `interval '5 minutes'`;

/** What keeps telemetry from being stored, or old telemetry from going. */
export interface StoreHealth {
  /** Of the batch that has waited longest for a writer that cannot write it; null when none does. */
  readonly oldestUnwrittenSeconds: number | null;
  readonly tablesWithoutRoom: readonly string[];
  /** Of the last round of maintenance, in sentences. */
  readonly problems: readonly string[];
}

/** Null while the schema is not there. @throws what the database throws */
export async function storeHealth(pool: pg.Pool, timeoutMs: number): Promise<StoreHealth | null> {
  const text = `SELECT
      (SELECT max(floor(greatest(0, extract(epoch FROM now() - waiting_since))))::float8 FROM telemetry.writer
       WHERE waiting_since IS NOT NULL AND updated_at > now() - ${RECENT}) AS "oldestUnwrittenSeconds",
      ARRAY(SELECT DISTINCT unnest(without_room) FROM telemetry.writer
            WHERE updated_at > now() - ${RECENT} ORDER BY 1) AS "tablesWithoutRoom",
      coalesce((SELECT problems FROM telemetry.upkeep), '{}') AS problems`;
  try {
    const { rows } = await pool.query<StoreHealth>({ text, query_timeout: timeoutMs } as pg.QueryConfig);
    return rows[0] ?? null;
  } catch (error) {
    if ((error as pg.DatabaseError).code === UNDEFINED_TABLE) return null;
    throw error;
  }
}
