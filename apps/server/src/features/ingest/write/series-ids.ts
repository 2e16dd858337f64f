import { createHash } from 'node:crypto';
import type pg from 'pg';
import { BoundedCache } from '../bounded-cache.js';
import type { SeriesKey } from '../decode/rows.js';

const SERIES_CACHED_MAX = 200_000;
/** Maintenance removes series without samples; what it removed must not be remembered for long. */
const TTL_MS = 60 * 60_000;
/** A probe whose labels never repeat would fill the table with lines of one point each. */
const SERIES_PER_RUN_MAX = 20_000;

interface Missing {
  readonly key: SeriesKey;
  readonly text: string;
  readonly digest: Buffer;
}

/** Ids of series, made when they are first seen. */
export class SeriesIds {
  private readonly cache: BoundedCache<string, bigint>;

  constructor(nowMs: () => number) {
    this.cache = new BoundedCache(SERIES_CACHED_MAX, TTL_MS, nowMs);
  }

  /** Ids of the keys, by `seriesText`; those beyond their run's bound are left out. `remember` the result after COMMIT. */
  async resolve(client: pg.ClientBase, keys: Iterable<SeriesKey>): Promise<Map<string, bigint>> {
    const found = new Map<string, bigint>();
    const missing = new Map<string, Missing>();
    for (const key of keys) {
      const text = seriesText(key);
      if (found.has(text) || missing.has(text)) continue;
      const id = this.cache.get(text);
      if (id === undefined) missing.set(text, { key, text, digest: digestOf(key.labels) });
      else found.set(text, id);
    }
    if (missing.size > 0) await makeMissing(client, [...missing.values()], found);
    return found;
  }

  /** Ids of a transaction that was rolled back may belong to nothing, so they are remembered only afterwards. */
  remember(ids: ReadonlyMap<string, bigint>): void {
    for (const [text, id] of ids) this.cache.set(text, id);
  }
}

export function seriesText({ run, metric, labels }: SeriesKey): string {
  return `${run} ${metric} ${labels}`;
}

async function makeMissing(client: pg.ClientBase, missing: readonly Missing[], found: Map<string, bigint>) {
  const wanted = await withinBounds(client, missing);
  const column = (of: (one: Missing) => string | Buffer) => wanted.map(of);
  const values = [
    column(({ key }) => key.device),
    column(({ key }) => key.run),
    column(({ key }) => key.release),
    column(({ key }) => key.probe),
    column(({ key }) => key.metric),
    column(({ key }) => key.labels),
    column(({ digest }) => digest),
  ];
  // In one order for every writer, so that two that make the same series wait for one another and never for ever.
  await client.query(
    `INSERT INTO telemetry.series (device, run, release, probe, metric, labels, labels_digest)
     SELECT device, run, release, probe, metric, labels::jsonb, digest
     FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bytea[])
       AS s (device, run, release, probe, metric, labels, digest)
     ORDER BY run, metric, digest ON CONFLICT (run, metric, labels_digest) DO NOTHING`,
    values,
  );
  const { rows } = await client.query<{ number: number; id: string }>(
    `SELECT (w.number - 1)::int AS number, s.id
     FROM unnest($1::text[], $2::text[], $3::bytea[]) WITH ORDINALITY AS w (run, metric, digest, number)
       JOIN telemetry.series s ON (s.run, s.metric, s.labels_digest) = (w.run, w.metric, w.digest)`,
    [values[1], values[4], values[6]],
  );
  for (const { number, id } of rows) found.set((wanted[number] as Missing).text, BigInt(id));
}

async function withinBounds(client: pg.ClientBase, missing: readonly Missing[]): Promise<Missing[]> {
  const runs = [...new Set(missing.map(({ key }) => key.run))];
  const { rows } = await client.query<{ run: string; count: number }>(
    'SELECT run, count(*)::int AS count FROM telemetry.series WHERE run = ANY ($1) GROUP BY run',
    [runs],
  );
  const counts = new Map(rows.map(({ run, count }) => [run, count]));
  return missing.filter(({ key }) => {
    const count = (counts.get(key.run) ?? 0) + 1;
    counts.set(key.run, count);
    return count <= SERIES_PER_RUN_MAX;
  });
}

function digestOf(labels: string): Buffer {
  return createHash('sha256').update(labels).digest().subarray(0, 16);
}
