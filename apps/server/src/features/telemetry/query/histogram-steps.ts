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
 * `rows` are walked once and must be oldest first.
 */
export function histogramCounts(rows: readonly HistogramRow[], bucketCount: number, grid: TimeGrid): number[][] {
  const counts = Array.from({ length: grid.count }, () => new Array<number>(bucketCount).fill(0));
  const looks = new Map<string, Looks>();
  const previous = new Map<string, HistogramRow>();
  for (const row of rows) {
    const lookBefore = look(looks, row);
    if (row.buckets.length !== bucketCount) continue;
    const before = previous.get(row.series);
    previous.set(row.series, row);
    const step = Math.floor((row.at - grid.fromSeconds) / grid.stepSeconds);
    if (step < 0 || step >= grid.count) continue;
    if (lookBefore === undefined || row.at - lookBefore > Math.max(SILENCE_SECONDS_MAX, grid.stepSeconds)) continue;
    add(counts[step] as number[], difference(row.buckets, before?.buckets));
  }
  return counts;
}

/** When a run was looked at last, and the time before that one. */
interface Looks {
  at: number;
  before: number | undefined;
}

/** Notes that the row's run was looked at, and says when it was last looked at before. */
function look(looks: Map<string, Looks>, { run, at }: HistogramRow): number | undefined {
  const known = looks.get(run);
  if (known === undefined) {
    looks.set(run, { at, before: undefined });
    return undefined;
  }
  // Rows of one look share its time.
  if (known.at < at) {
    known.before = known.at;
    known.at = at;
  }
  return known.before;
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
