import type pg from 'pg';
import { telemetryLimits } from './settings.js';

/** 32 MiB of PostgreSQL's blocks: what one statement, and so one transaction, looks at. */
const BLOCKS_PER_STATEMENT = 4096;
/** 1 GiB of each table in one round; a larger one is looked through in as many hours. */
const BLOCKS_PER_ROUND = 32 * BLOCKS_PER_STATEMENT;
const HOUR_MS = 3_600_000;

/** Rows of the unpartitioned tables that nothing in the store can refer to any more. */
export async function forgetOld(client: pg.ClientBase, now: Date, retentionDays: number): Promise<void> {
  const before = (days: number) => new Date(now.getTime() - days * 86_400_000);
  await client.query('DELETE FROM telemetry.ledger WHERE updated_at < $1', [before(telemetryLimits.ledgerKeepDays)]);
  await client.query(
    `WITH old AS (DELETE FROM telemetry.tally WHERE updated_at < $1 AND writer <> 'folded' RETURNING *)
     INSERT INTO telemetry.tally AS t (writer, samples, events, first_at, last_at, updated_at)
     SELECT 'folded', sum(samples), sum(events), min(first_at), max(last_at), now() FROM old HAVING count(*) > 0
     ON CONFLICT (writer) DO UPDATE SET samples = t.samples + excluded.samples, events = t.events + excluded.events,
       first_at = least(t.first_at, excluded.first_at), last_at = greatest(t.last_at, excluded.last_at), updated_at = now()`,
    [before(1)],
  );
  await client.query('DELETE FROM telemetry.writer WHERE updated_at < $1', [before(1)]);
  const stale = before(retentionDays * 2 + 1);
  await client.query(
    `DELETE FROM telemetry.series s WHERE created_at < $1
       AND NOT EXISTS (SELECT FROM telemetry.sample WHERE series = s.id)
       AND NOT EXISTS (SELECT FROM telemetry.hist WHERE series = s.id)`,
    [stale],
  );
  // Ingest marks as seen what is sent again, or used, a day after it was marked last.
  for (const table of ['stack', 'name'] as const) await forgetUnseen(client, table, now, before(retentionDays + 1));
}

/**
 * Deletes the rows that were not seen since. The table is walked block by block and without an index on the time: that would
 * have to be built on a table of any size while ingest waits to write into it, and every mark would write into it too.
 * PostgreSQL reads blocks by number (a TID range scan) since version 14.
 */
async function forgetUnseen(client: pg.ClientBase, table: 'stack' | 'name', now: Date, since: Date): Promise<void> {
  const { rows } = await client.query<{ blocks: number }>(
    `SELECT (pg_relation_size($1::regclass) / current_setting('block_size')::int)::float8 AS blocks`,
    [`telemetry.${table}`],
  );
  for (const [from, to] of blocksOfRound(rows[0]?.blocks ?? 0, now)) {
    await client.query(`DELETE FROM telemetry.${table} WHERE ctid >= $1::tid AND ctid < $2::tid AND seen_at < $3`, [
      `(${from},0)`,
      `(${to},0)`,
      since,
    ]);
  }
}

/** Ranges of blocks for the round of this hour: the hour says where to begin, so that no server needs to remember it. */
export function* blocksOfRound(blocks: number, now: Date): Generator<readonly [from: number, to: number]> {
  const rounds = Math.ceil(blocks / BLOCKS_PER_ROUND);
  if (rounds === 0) return;
  const first = (Math.floor(now.getTime() / HOUR_MS) % rounds) * BLOCKS_PER_ROUND;
  const end = Math.min(blocks, first + BLOCKS_PER_ROUND);
  for (let from = first; from < end; from += BLOCKS_PER_STATEMENT)
    yield [from, Math.min(end, from + BLOCKS_PER_STATEMENT)];
}
