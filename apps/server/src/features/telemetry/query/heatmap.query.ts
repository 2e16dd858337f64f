import { Injectable } from '@nestjs/common';
import type pg from 'pg';
import type { QueryOf, ResponseOf } from '../../../http/route.js';
import { Clock } from '../../../platform/clock.js';
import { DomainError, notFound } from '../../../platform/errors.js';
import { histogramCounts, quantile, type HistogramRow } from './histogram-steps.js';
import { metricMeaning } from './series.store.js';
import { queryTooLarge, TelemetryReads } from './telemetry-reads.js';
import { gridRange, timeGrid, timeRange, timesOf, type TimeGrid } from './time-grid.js';

/** Columns of the picture when the query does not say a step, and when it does. */
const COLUMNS = 60;
const COLUMNS_MAX = 400;
const STEP_SECONDS_LEAST = 10;
const ROWS_MAX = 200_000;
/** Of all rows together: each becomes a number of this process, which answers others meanwhile. */
const BUCKETS_MAX = 4_000_000;

@Injectable()
export class HeatmapQuery {
  constructor(
    private readonly reads: TelemetryReads,
    private readonly clock: Clock,
  ) {}

  /** @throws DomainError METRIC_UNKNOWN, METRIC_NO_HISTOGRAM, RANGE_INVALID, QUERY_TOO_LARGE */
  async run(query: QueryOf<'heatmap'>): Promise<ResponseOf<'heatmap'>> {
    const range = timeRange(query, this.clock.now());
    const columns = query.stepSeconds === undefined ? COLUMNS : COLUMNS_MAX;
    const grid = timeGrid(range, query.stepSeconds, STEP_SECONDS_LEAST, columns);
    return this.reads.read(async (client) => {
      const meaning = await metricMeaning(client, query.device, query.metric);
      if (meaning === undefined) throw notFound('metric', query.metric);
      if (meaning.type !== 'histogram' || meaning.bounds === null) {
        throw new DomainError(400, 'METRIC_NO_HISTOGRAM', `${query.metric} is a ${meaning.type}, not a histogram`);
      }
      const bounds = [...meaning.bounds];
      const rowsMax = Math.min(ROWS_MAX, Math.floor(BUCKETS_MAX / (bounds.length + 1)));
      const rows = await histogramRows(client, query.device, query.metric, grid, rowsMax);
      const counts = histogramCounts(rows, bounds.length + 1, grid);
      const of = (q: number) => counts.map((step) => quantile(step, bounds, q));
      return {
        metric: query.metric,
        unit: meaning.unit,
        bounds,
        times: timesOf(grid),
        counts,
        quantiles: { p50: of(0.5), p90: of(0.9), p99: of(0.99) },
      };
    });
  }
}

/**
 * The last state of each histogram in each step and before the first, oldest first.
 * @throws DomainError QUERY_TOO_LARGE: the oldest of them alone would be a picture that ends too soon and does not say so
 */
async function histogramRows(
  client: pg.ClientBase,
  device: string,
  metric: string,
  grid: TimeGrid,
  rowsMax: number,
): Promise<HistogramRow[]> {
  const { from, to } = gridRange(grid);
  const { rows } = await client.query<Omit<HistogramRow, 'buckets'> & { buckets: string[] }>(
    `WITH lines AS (SELECT id, run FROM telemetry.series WHERE device = $1 AND metric = $2),
     known AS (
       SELECT DISTINCT ON (h.series, floor(extract(epoch FROM h.ts - $3) / $5)) h.series, l.run, h.ts, h.buckets
       FROM telemetry.hist h JOIN lines l ON l.id = h.series WHERE h.ts >= $3 AND h.ts < $4
       ORDER BY h.series, floor(extract(epoch FROM h.ts - $3) / $5), h.ts DESC
     )
     SELECT series, run, extract(epoch FROM ts)::float8 AS at, buckets FROM known
     UNION ALL
     SELECT l.id, l.run, extract(epoch FROM b.ts)::float8, b.buckets FROM lines l CROSS JOIN LATERAL (
       SELECT ts, buckets FROM telemetry.hist
       WHERE series = l.id AND ts < $3 AND ts >= $3::timestamptz - interval '1 day' ORDER BY ts DESC LIMIT 1) AS b
     ORDER BY at LIMIT $6`,
    [device, metric, from, to, grid.stepSeconds, rowsMax + 1],
  );
  if (rows.length > rowsMax) {
    throw queryTooLarge(
      `${metric} has more than ${rowsMax} states in this time; ask for a shorter time or longer steps`,
    );
  }
  return rows.map((row) => ({ ...row, buckets: row.buckets.map(Number) }));
}
