import type pg from 'pg';
import { BoundedCache } from '../bounded-cache.js';
import type { NameRow, Rows, StackRow } from '../decode/rows.js';
import { RowRoom } from './row-room.js';

export interface DictionaryLimits {
  readonly stacksPerRunMax: number;
  readonly namesPerDeviceMax: number;
}

/** Three whole stack maps of 16,384 entries; the kernel names of some twenty boots. */
export const dictionaryLimits: DictionaryLimits = { stacksPerRunMax: 50_000, namesPerDeviceMax: 100_000 };

/** Rows that the bounds kept out. */
export interface DictionaryDrops {
  readonly stacksDropped: number;
  readonly namesDropped: number;
}

const BOOTS_CACHED_MAX = 10_000;
/** Well below the day after which rows are refreshed, and the day that maintenance keeps beyond the retention. */
const BOOT_TTL_MS = 6 * 3_600_000;

/**
 * What samples refer to: stacks and names. Maintenance deletes those that were not seen for the retention, so what devices
 * send again, or go on using, is marked as seen, once a day and not at each sending.
 */
export class Dictionaries {
  private readonly stackRoom: RowRoom;
  private readonly nameRoom: RowRoom;
  private readonly bootsKept: BoundedCache<string, true>;

  constructor(nowMs: () => number, { stacksPerRunMax, namesPerDeviceMax }: DictionaryLimits = dictionaryLimits) {
    this.stackRoom = new RowRoom({ table: 'stack', owner: 'run', rowsMax: stacksPerRunMax }, nowMs);
    this.nameRoom = new RowRoom({ table: 'name', owner: 'device', rowsMax: namesPerDeviceMax }, nowMs);
    this.bootsKept = new BoundedCache(BOOTS_CACHED_MAX, BOOT_TTL_MS, nowMs);
  }

  /** Inside of the caller's transaction; rows are locked in one order by every writer. */
  async store(client: pg.ClientBase, { stacks, names }: Pick<Rows, 'stacks' | 'names'>): Promise<DictionaryDrops> {
    const stacksDropped = await this.storeStacks(client, stacks);
    await this.keepNames(client, stacks);
    return { stacksDropped, namesDropped: await this.storeNames(client, names) };
  }

  private async storeStacks(client: pg.ClientBase, stacks: readonly StackRow[]): Promise<number> {
    const last = lastOf(stacks, ({ run, boot, map, id }) => `${run} ${boot} ${map} ${id}`);
    if (last.length === 0) return 0;
    const mayAdd = await this.stackRoom.take(
      client,
      last.map(({ run }) => run),
    );
    const { rows } = await client.query<{ dropped: number }>(
      `WITH n AS (
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::boolean[])
           AS n (run, boot, map, id, device, frames, may_add)
       ), kept AS (
         SELECT * FROM n WHERE may_add OR (SELECT true FROM telemetry.stack s
           WHERE (s.run, s.boot, s.map, s.id) = (n.run, n.boot, n.map, n.id)) IS NOT NULL
       ), done AS (
         INSERT INTO telemetry.stack AS s (run, boot, map, id, device, frames)
         SELECT run, boot, map, id, device, frames::bigint[] FROM kept ORDER BY run, boot, map, id
         ON CONFLICT (run, boot, map, id) DO UPDATE SET frames = excluded.frames, seen_at = now()
           WHERE s.frames IS DISTINCT FROM excluded.frames OR s.seen_at < now() - interval '1 day'
       )
       SELECT ((SELECT count(*) FROM n) - (SELECT count(*) FROM kept))::int AS dropped`,
      [
        last.map(({ run }) => run),
        last.map(({ boot }) => boot),
        last.map(({ map }) => map),
        last.map(({ id }) => id),
        last.map(({ device }) => device),
        last.map(({ frames }) => `{${frames.join(',')}}`),
        mayAdd,
      ],
    );
    return rows[0]?.dropped ?? 0;
  }

  private async storeNames(client: pg.ClientBase, names: readonly NameRow[]): Promise<number> {
    const last = lastOf(names, ({ device, kind, id, boot }) => `${device} ${kind} ${id} ${boot}`);
    if (last.length === 0) return 0;
    const mayAdd = await this.nameRoom.take(
      client,
      last.map(({ device }) => device),
    );
    const { rows } = await client.query<{ dropped: number }>(
      `WITH n AS (
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::boolean[])
           AS n (device, boot, kind, id, name, may_add)
       ), kept AS (
         SELECT * FROM n WHERE may_add OR (SELECT true FROM telemetry.name s
           WHERE (s.device, s.kind, s.id, s.boot) = (n.device, n.kind, n.id, n.boot)) IS NOT NULL
       ), done AS (
         INSERT INTO telemetry.name AS s (device, boot, kind, id, name)
         SELECT device, boot, kind, id, name FROM kept ORDER BY device, kind, id, boot
         ON CONFLICT (device, kind, id, boot) DO UPDATE SET name = excluded.name, seen_at = now()
           WHERE s.name IS DISTINCT FROM excluded.name OR s.seen_at < now() - interval '1 day'
       )
       SELECT ((SELECT count(*) FROM n) - (SELECT count(*) FROM kept))::int AS dropped`,
      [
        last.map(({ device }) => device),
        last.map(({ boot }) => boot),
        last.map(({ kind }) => kind),
        last.map(({ id }) => id),
        last.map(({ name }) => name),
        mayAdd,
      ],
    );
    return rows[0]?.dropped ?? 0;
  }

  /**
   * An agent tells the name of an address once in its life, and stacks with that address for as long as it lives: the names
   * of a boot are in use while stacks of it come.
   */
  private async keepNames(client: pg.ClientBase, stacks: readonly StackRow[]): Promise<void> {
    for (const { device, boot } of lastOf(stacks, bootKey)) {
      const key = bootKey({ device, boot });
      if (this.bootsKept.get(key)) continue;
      // Whoever holds one of the rows is refreshing it; waiting for him out of order could end in a deadlock.
      await client.query(
        `UPDATE telemetry.name n SET seen_at = now() FROM (
           SELECT device, kind, id, boot FROM telemetry.name
           WHERE device = $1 AND kind = 'ksym' AND boot = $2 AND seen_at < now() - interval '1 day'
           FOR NO KEY UPDATE SKIP LOCKED) AS old
         WHERE (n.device, n.kind, n.id, n.boot) = (old.device, old.kind, old.id, old.boot)`,
        [device, boot],
      );
      this.bootsKept.set(key, true);
    }
  }
}

function bootKey({ device, boot }: { readonly device: string; readonly boot: string }): string {
  return `${device} ${boot}`;
}

/** The last one of a key wins, as it would if each came alone. */
function lastOf<T>(rows: readonly T[], keyOf: (row: T) => string): T[] {
  return [...new Map(rows.map((row) => [keyOf(row), row])).values()];
}
