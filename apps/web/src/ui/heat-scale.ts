import type { HeatmapResponse } from '@bpfleet/api';

export interface HeatGrid {
  /** Index of the lowest and highest bucket with any observation. */
  first: number;
  last: number;
  /** The largest count of one cell. */
  max: number;
  total: number;
}

/** What of a histogram is worth showing: exp2 histograms have dozens of buckets that nothing ever falls into. */
export function heatGrid(heat: Pick<HeatmapResponse, 'counts'>): HeatGrid {
  let first = Number.POSITIVE_INFINITY;
  let last = -1;
  let max = 0;
  let total = 0;
  for (const column of heat.counts) {
    for (const [bucket, count] of column.entries()) {
      if (count <= 0) continue;
      first = Math.min(first, bucket);
      last = Math.max(last, bucket);
      max = Math.max(max, count);
      total += count;
    }
  }
  return last < 0 ? { first: 0, last: -1, max: 0, total: 0 } : { first, last, max, total };
}

/**
 * 0 for an empty cell, else 0.12 to 1, by the square of the logarithm of its count: one observation must be seen beside
 * a million, and the million must still stand out.
 */
export function heatLevel(count: number, max: number): number {
  if (count <= 0 || max <= 0) return 0;
  return max <= 1 ? 1 : 0.12 + 0.88 * (Math.log(count) / Math.log(max)) ** 2;
}

/** True when bounds grow by a factor, so that a logarithmic axis shows the buckets equally high. */
export function isLogarithmic(bounds: readonly number[]): boolean {
  const positive = bounds.filter((bound) => bound > 0);
  const [low, high] = [positive[0], positive.at(-1)];
  return positive.length >= 4 && low !== undefined && high !== undefined && high / low >= 8 && !isEven(positive);
}

function isEven(bounds: readonly number[]): boolean {
  const step = (bounds[1] ?? 0) - (bounds[0] ?? 0);
  return bounds.every((bound, index) => Math.abs(bound - (bounds[0] ?? 0) - index * step) <= step * 1e-6);
}

/**
 * Lower and upper edge of a bucket. Bounds are upper edges; the first bucket starts at 0 (on a logarithmic axis a step
 * below its bound) and what is above the last bound is drawn one step high.
 */
export function bucketEdges(bounds: readonly number[], bucket: number, logarithmic: boolean): [number, number] {
  const last = bounds.length - 1;
  const step = logarithmic ? ratio(bounds) : (bounds[1] ?? 1) - (bounds[0] ?? 0);
  const upper = bounds[bucket] ?? (logarithmic ? (bounds[last] ?? 1) * step : (bounds[last] ?? 0) + step);
  const below = bucket === 0 ? undefined : bounds[bucket - 1];
  if (below !== undefined && (!logarithmic || below > 0)) return [below, upper];
  return [logarithmic ? upper / step : Math.min(0, upper), upper];
}

function ratio(bounds: readonly number[]): number {
  const positive = bounds.filter((bound) => bound > 0);
  const [a, b] = [positive[0], positive[1]];
  return a !== undefined && b !== undefined && b > a ? b / a : 2;
}

/** Seconds from one column to the next: the smallest gap, because a device that was away leaves holes. */
export function columnSeconds(times: readonly number[]): number {
  let step = Number.POSITIVE_INFINITY;
  for (let i = 1; i < times.length; i += 1) {
    const gap = (times[i] ?? 0) - (times[i - 1] ?? 0);
    if (gap > 0) step = Math.min(step, gap);
  }
  return Number.isFinite(step) ? step : 10;
}
