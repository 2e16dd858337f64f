import { DomainError } from '../../../platform/errors.js';

export interface TimeRange {
  readonly from: Date;
  readonly to: Date;
}

/** Steps of equal length; step `i` begins at `fromSeconds + i × stepSeconds`. */
export interface TimeGrid {
  readonly fromSeconds: number;
  readonly stepSeconds: number;
  readonly count: number;
}

const DEFAULT_RANGE_MS = 15 * 60_000;
const RANGE_MAX_MS = 92 * 86_400_000;
/** Lengths that divide minutes, hours and days, so that charts of different ranges line up. */
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400, 604_800];

/** The last 15 minutes (or `defaultMs`) unless the query says otherwise. @throws DomainError 400 RANGE_INVALID */
export function timeRange(
  query: { readonly from?: string | undefined; readonly to?: string | undefined },
  now: Date,
  defaultMs: number = DEFAULT_RANGE_MS,
): TimeRange {
  const to = query.to === undefined ? now : new Date(query.to);
  const from = query.from === undefined ? new Date(to.getTime() - defaultMs) : new Date(query.from);
  const length = to.getTime() - from.getTime();
  if (length <= 0) throw new DomainError(400, 'RANGE_INVALID', '`from` must be before `to`');
  if (length > RANGE_MAX_MS) throw new DomainError(400, 'RANGE_INVALID', 'ask for at most 92 days at once');
  return { from, to };
}

/**
 * A grid over the range of at most `pointsMax` steps, beginning on a multiple of its step. A wanted step that would make
 * more of them is lengthened.
 */
export function timeGrid({ from, to }: TimeRange, wanted: number | undefined, leastSeconds: number, pointsMax: number) {
  const fromSeconds = from.getTime() / 1000;
  const toSeconds = to.getTime() / 1000;
  const needed = (toSeconds - fromSeconds) / (pointsMax - 1);
  const least = Math.max(needed, wanted ?? leastSeconds);
  const stepSeconds =
    wanted !== undefined && wanted >= needed ? wanted : (STEPS.find((step) => step >= least) ?? 604_800);
  const first = Math.floor(fromSeconds / stepSeconds) * stepSeconds;
  return { fromSeconds: first, stepSeconds, count: Math.max(1, Math.ceil((toSeconds - first) / stepSeconds)) };
}

export function timesOf({ fromSeconds, stepSeconds, count }: TimeGrid): number[] {
  return Array.from({ length: count }, (_, index) => fromSeconds + index * stepSeconds);
}

export function gridRange(grid: TimeGrid): TimeRange {
  return {
    from: new Date(grid.fromSeconds * 1000),
    to: new Date((grid.fromSeconds + grid.count * grid.stepSeconds) * 1000),
  };
}
