import { SILENCE_SECONDS_MAX } from './counter-rates.js';
import type { TimeGrid } from './time-grid.js';

/** The last state of one histogram in one step, or (the first row) before the grid: absolute counts, not cumulative. */
export interface HistogramRow {
  readonly series: string;
  readonly run: string;
  readonly at: number;
  readonly buckets: readonly number[];
}

/**
 * Observations per step and bucket, all histograms added up. Counts that fell mean a start from zero. A first state
 * counts only when the same run was seen before without it: else nobody knows since when it counted.
 */
export function histogramCounts(rows: readonly HistogramRow[], bucketCount: number, grid: TimeGrid): number[][] {
  const counts = Array.from({ length: grid.count }, () => new Array<number>(bucketCount).fill(0));
  const runSeenAt = new Map<string, number[]>();
  for (const { run, at } of rows) runSeenAt.set(run, [...(runSeenAt.get(run) ?? []), at]);
  const previous = new Map<string, HistogramRow>();
  for (const row of rows) {
    if (row.buckets.length !== bucketCount) continue;
    const before = previous.get(row.series);
    previous.set(row.series, row);
    const step = Math.floor((row.at - grid.fromSeconds) / grid.stepSeconds);
    if (step < 0 || step >= grid.count) continue;
    const lookBefore = latestBefore(runSeenAt.get(row.run) ?? [], row.at);
    if (lookBefore === undefined || row.at - lookBefore > Math.max(SILENCE_SECONDS_MAX, grid.stepSeconds)) continue;
    add(counts[step] as number[], difference(row.buckets, before?.buckets));
  }
  return counts;
}

function latestBefore(times: readonly number[], at: number): number | undefined {
  let latest: number | undefined;
  for (const time of times) if (time < at && (latest === undefined || time > latest)) latest = time;
  return latest;
}

function difference(now: readonly number[], before: readonly number[] | undefined): readonly number[] {
  if (before === undefined || now.some((count, bucket) => count < (before[bucket] ?? 0))) return now;
  return now.map((count, bucket) => count - (before[bucket] ?? 0));
}

function add(total: number[], more: readonly number[]): void {
  more.forEach((count, bucket) => (total[bucket] = (total[bucket] ?? 0) + count));
}

/**
 * The value below which a share `q` of the observations lie, taken as even within their bucket; null without any. What
 * is above the last bound counts as that bound.
 */
export function quantile(counts: readonly number[], bounds: readonly number[], q: number): number | null {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  const rank = q * total;
  let below = 0;
  for (const [bucket, count] of counts.entries()) {
    if (count > 0 && below + count >= rank) {
      const upper = bounds[bucket] ?? bounds.at(-1) ?? 0;
      const lower = bucket === 0 ? Math.min(0, upper) : (bounds[bucket - 1] ?? upper);
      return lower + ((upper - lower) * (rank - below)) / count;
    }
    below += count;
  }
  return bounds.at(-1) ?? null;
}
