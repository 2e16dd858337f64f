import { Injectable } from '@nestjs/common';
import type pg from 'pg';

const DAY_MS = 86_400_000;
const PROBLEMS_MAX = 20;

/** PostgreSQL's own clock: the second opinion about what time it is. */
@Injectable()
export class StoreTime {
  async now(client: pg.ClientBase): Promise<Date> {
    const { rows } = await client.query<{ now: Date }>('SELECT now() AS now');
    return (rows[0] as { now: Date }).now;
  }
}

/** Until when time has passed for the retention; `problem` says why that is not now. */
export interface RetentionTime {
  readonly at: Date;
  /** The clocks contradict one another: nothing may go. */
  readonly halted: boolean;
  readonly problem: string | undefined;
}

/**
 * What is deleted is gone, so no clock is believed at its first word: one that stands a year ahead for an hour, as that of a
 * machine without a battery may, would empty the store. The retention's own time moves by at most a day in each round, so that
 * a month ahead is a day's warning, and a server that was switched off for a month has caught up in as many hours.
 */
export function retentionTime(before: Date | undefined, serverNow: Date, storeNow: Date): RetentionTime {
  const now = new Date(Math.min(serverNow.getTime(), storeNow.getTime()));
  if (Math.abs(serverNow.getTime() - storeNow.getTime()) > DAY_MS) {
    const problem = `nothing is deleted: it is ${text(serverNow)} for this server and ${text(storeNow)} for PostgreSQL; set their clocks`;
    return { at: before && before < now ? before : now, halted: true, problem };
  }
  if (before === undefined || now.getTime() - before.getTime() <= DAY_MS)
    return { at: now, halted: false, problem: undefined };
  const at = new Date(before.getTime() + DAY_MS);
  const problem = `the clocks say ${text(now)}, long after the last round of maintenance: old data goes as if it were ${text(at)}, a day more each hour; if that is not the time, set the clocks`;
  return { at, halted: false, problem };
}

function text(at: Date): string {
  return at.toISOString().slice(0, 16).replace('T', ' ');
}

/** The last round's time. In a store that was never looked after, when something was last written to it. */
export async function lastRetentionTime(client: pg.ClientBase): Promise<Date | undefined> {
  const { rows } = await client.query<{ at: Date | null }>(
    'SELECT coalesce((SELECT retention_at FROM telemetry.upkeep), (SELECT max(updated_at) FROM telemetry.tally)) AS at',
  );
  return rows[0]?.at ?? undefined;
}

/** For the next round, and for whoever asks how the store is. */
export async function noteRound(client: pg.ClientBase, retentionAt: Date, problems: readonly string[]): Promise<void> {
  await client.query(
    `INSERT INTO telemetry.upkeep (retention_at, problems) VALUES ($1, $2)
     ON CONFLICT (one) DO UPDATE SET retention_at = excluded.retention_at, problems = excluded.problems, round_at = now()`,
    [retentionAt, problems.slice(0, PROBLEMS_MAX)],
  );
}
