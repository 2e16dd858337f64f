import type pg from 'pg';
import { BoundedCache } from '../bounded-cache.js';

const OWNERS_CACHED_MAX = 10_000;
/** Rows go and other writers add some; until then the count is kept here. */
const TTL_MS = 60_000;

export interface RoomLimits {
  readonly table: 'stack' | 'name';
  /** Begins the table's primary key, so that counting reads that alone. */
  readonly owner: 'run' | 'device';
  readonly rowsMax: number;
}

/**
 * How many more rows of a table each owner may add. Devices choose what such a row is called, so that without a bound one
 * of them could fill the store. Several writers together may go beyond it by what they add within a minute.
 */
export class RowRoom {
  private readonly left: BoundedCache<string, { rows: number }>;

  constructor(
    private readonly limits: RoomLimits,
    nowMs: () => number,
  ) {
    this.left = new BoundedCache(OWNERS_CACHED_MAX, TTL_MS, nowMs);
  }

  /** Whether each of these rows, given by its owner, may be new. Rows that are there already take room too, for a minute. */
  async take(client: pg.ClientBase, owners: readonly string[]): Promise<boolean[]> {
    const left = await this.leftOf(client, [...new Set(owners)]);
    return owners.map((owner) => (left.get(owner) as { rows: number }).rows-- > 0);
  }

  private async leftOf(client: pg.ClientBase, owners: readonly string[]): Promise<Map<string, { rows: number }>> {
    const found = new Map<string, { rows: number }>();
    const unknown: string[] = [];
    for (const owner of owners) {
      const known = this.left.get(owner);
      if (known === undefined) unknown.push(owner);
      else found.set(owner, known);
    }
    if (unknown.length === 0) return found;
    const { table, owner: column, rowsMax } = this.limits;
    const { rows } = await client.query<{ owner: string; count: number }>(
      `SELECT owner, (SELECT count(*)::int FROM (SELECT FROM telemetry.${table} WHERE ${column} = owner LIMIT $2) AS own) AS count
       FROM unnest($1::text[]) AS owner`,
      [unknown, rowsMax],
    );
    for (const { owner, count } of rows) {
      const room = { rows: rowsMax - count };
      this.left.set(owner, room);
      found.set(owner, room);
    }
    return found;
  }
}
