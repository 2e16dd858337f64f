import type pg from 'pg';
import type { StepRow } from './counter-rates.js';
import { queryTooLarge } from './telemetry-reads.js';
import { gridRange, type TimeGrid } from './time-grid.js';

export interface MetricMeaning {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly unit: string | null;
  readonly bounds: readonly number[] | null;
}

/** One series that has a sample in the range or not long before it. */
export interface SeriesRow {
  readonly id: string;
  readonly run: string;
  readonly labels: Readonly<Record<string, string>>;
}

const SERIES_MAX = 5000;
/** Of one chart: 50 lines of 400 points, each of ten runs. */
const STEP_ROWS_MAX = 200_000;
/** How far before the range its first value is looked for. */
const BASELINE = `interval '1 day'`;

/** Of the newest release that the device ran with this metric. */
export async function metricMeaning(
  client: pg.ClientBase,
  device: string,
  metric: string,
): Promise<MetricMeaning | undefined> {
  const { rows } = await client.query<MetricMeaning>(
    `SELECT m.type, m.unit, m.bounds FROM telemetry.series s JOIN telemetry.metric m USING (probe, release, metric)
     WHERE s.device = $1 AND s.metric = $2 ORDER BY s.id DESC LIMIT 1`,
    [device, metric],
  );
  return rows[0];
}

/** Largest last value first; entries that have gone come last. */
export async function seriesByLastValue(
  client: pg.ClientBase,
  device: string,
  metric: string,
  grid: TimeGrid,
): Promise<SeriesRow[]> {
  const { from, to } = gridRange(grid);
  const { rows } = await client.query<SeriesRow>(
    `SELECT s.id, s.run, s.labels FROM telemetry.series s
     CROSS JOIN LATERAL (SELECT value FROM telemetry.sample
       WHERE series = s.id AND ts >= $3::timestamptz - ${BASELINE} AND ts < $4 ORDER BY ts DESC LIMIT 1) AS newest
     WHERE s.device = $1 AND s.metric = $2 ORDER BY newest.value DESC NULLS LAST, s.id LIMIT ${SERIES_MAX}`,
    [device, metric, from, to],
  );
  return rows;
}

/**
 * Rows of each series by id, oldest first, the last sample before the range in front.
 * @throws DomainError QUERY_TOO_LARGE
 */
export async function seriesSteps(
  client: pg.ClientBase,
  ids: readonly string[],
  grid: TimeGrid,
): Promise<Map<string, StepRow[]>> {
  const { from, to } = gridRange(grid);
  const { rows } = await client.query<StepRow & { series: string }>(
    `WITH known AS (
       SELECT series, ts, value FROM telemetry.sample WHERE series = ANY ($1::bigint[]) AND ts >= $2 AND ts < $3
       UNION ALL
       SELECT id, before.ts, before.value FROM unnest($1::bigint[]) AS id CROSS JOIN LATERAL (
         SELECT ts, value FROM telemetry.sample
         WHERE series = id AND ts < $2 AND ts >= $2::timestamptz - ${BASELINE} ORDER BY ts DESC LIMIT 1) AS before
     ), moved AS (
       SELECT series, ts, value, lag(value) OVER (PARTITION BY series ORDER BY ts) AS previous,
         row_number() OVER (PARTITION BY series ORDER BY ts) AS number
       FROM known
     )
     SELECT series, extract(epoch FROM max(ts))::float8 AS at,
       (array_agg(value ORDER BY ts DESC))[1] AS last,
       coalesce(sum(CASE WHEN number = 1 OR value IS NULL THEN 0 WHEN previous IS NULL OR value < previous THEN value
                    ELSE value - previous END), 0)::float8 AS increase,
       max(value) FILTER (WHERE number = 1) AS first
     FROM moved
     GROUP BY series, CASE WHEN ts < $2 THEN -1 ELSE floor(extract(epoch FROM ts - $2) / $4) END
     ORDER BY series, at LIMIT ${STEP_ROWS_MAX + 1}`,
    [ids, from, to, grid.stepSeconds],
  );
  if (rows.length > STEP_ROWS_MAX) {
    throw queryTooLarge(
      `this chart has more than ${STEP_ROWS_MAX} points; ask for a shorter time, longer steps or fewer lines`,
    );
  }
  const steps = new Map<string, StepRow[]>();
  for (const { series, ...row } of rows) {
    const known = steps.get(series);
    if (known === undefined) steps.set(series, [row]);
    else known.push(row);
  }
  return steps;
}
