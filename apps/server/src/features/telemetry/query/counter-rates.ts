import type { TimeGrid } from './time-grid.js';

/** What one series did in one step of the grid, or (the first row) before it. */
export interface StepRow {
  /** Of its last sample in the step, seconds since 1970. */
  readonly at: number;
  /** The last value; null when the map entry had gone. */
  readonly last: number | null;
  /** How much the counter rose since the row before; a fall counts as a start from zero. */
  readonly increase: number;
  /** Set on the row that holds the first sample known of this series: that sample's value. */
  readonly first: number | null;
}

/**
 * An agent sends what changed, and everything at least every ten minutes (DESIGN §6): a longer silence is a gap, and what
 * happened in it is not known.
 */
export const SILENCE_SECONDS_MAX = 660;

/**
 * Rates per second of one counter. `seen` are the times at which the agent is known to have looked (samples of any series
 * of the same metric and run): a series without a sample then did not change. Between looks the rise is taken as even.
 */
export function counterRates(rows: readonly StepRow[], seen: readonly number[], grid: TimeGrid): (number | null)[] {
  const risen = new Float64Array(grid.count);
  const covered = new Float64Array(grid.count);
  const points = polyline(rows, seen);
  for (let index = 1; index < points.length; index += 1) {
    const [fromAt, fromValue] = points[index - 1] as Point;
    const [toAt, toValue] = points[index] as Point;
    const length = toAt - fromAt;
    if (length <= 0 || length > SILENCE_SECONDS_MAX) continue;
    spread(grid, fromAt, toAt, (step, seconds) => {
      risen[step] = (risen[step] as number) + ((toValue - fromValue) * seconds) / length;
      covered[step] = (covered[step] as number) + seconds;
    });
  }
  return Array.from(covered, (seconds, step) => (seconds > 0 ? (risen[step] as number) / seconds : null));
}

type Point = readonly [at: number, total: number];

/** Time and total rise, never falling. */
function polyline(rows: readonly StepRow[], seen: readonly number[]): Point[] {
  const points: Point[] = [];
  const looks = [...seen].sort((a, b) => a - b);
  let total = 0;
  let next = 0;
  for (const row of rows) {
    for (; next < looks.length && (looks[next] as number) < row.at; next += 1) {
      // A look that saw nothing of this series: before its first sample it was zero, afterwards it stood still.
      points.push([looks[next] as number, total]);
    }
    const isNew = row.first !== null && points.length > 0;
    total += row.increase + (isNew ? (row.first as number) : 0);
    if (row.first !== null && !isNew) total = 0;
    points.push([row.at, total]);
  }
  for (const at of looks.slice(next)) points.push([at, total]);
  return points;
}

function spread(grid: TimeGrid, from: number, to: number, add: (step: number, seconds: number) => void): void {
  const { fromSeconds, stepSeconds, count } = grid;
  const first = Math.max(0, Math.floor((from - fromSeconds) / stepSeconds));
  for (let step = first; step < count; step += 1) {
    const start = fromSeconds + step * stepSeconds;
    if (start >= to) return;
    const seconds = Math.min(to, start + stepSeconds) - Math.max(from, start);
    if (seconds > 0) add(step, seconds);
  }
}

/** A gauge (or a counter as it is) at the end of each step: it stays as it was as long as the agent is known to look. */
export function gaugeValues(rows: readonly StepRow[], seen: readonly number[], grid: TimeGrid): (number | null)[] {
  const looks = [...seen].sort((a, b) => a - b);
  let row = 0;
  let look = 0;
  return Array.from({ length: grid.count }, (_, step) => {
    const end = grid.fromSeconds + (step + 1) * grid.stepSeconds;
    while (row < rows.length && (rows[row] as StepRow).at < end) row += 1;
    while (look < looks.length && (looks[look] as number) < end) look += 1;
    const current = rows[row - 1];
    const lookedAt = Math.max(looks[look - 1] ?? -Infinity, current?.at ?? -Infinity);
    const stale = end - grid.stepSeconds - lookedAt > SILENCE_SECONDS_MAX;
    return current === undefined || stale ? null : current.last;
  });
}
