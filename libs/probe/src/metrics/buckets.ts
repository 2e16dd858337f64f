import type { Buckets, MetricManifest } from '../manifest/schema.js';

/** Slots that a bucket specification needs; undefined when the program is free to choose (exp2, exp2zero). */
export function slotsOf(buckets: Buckets): number | undefined {
  if (typeof buckets === 'string') return undefined;
  return 'linear' in buckets ? buckets.linear.count : buckets.fixed.length + 1;
}

/**
 * Upper bounds of all slots but the last, exclusive, in the unit that the program counts in. The last slot has no bound:
 * programs put into it whatever is larger.
 *
 * - exp2: slot i holds [2^i, 2^(i+1)), and slot 0 also 0;
 * - exp2zero: slot 0 holds 0, slot i holds [2^(i−1), 2^i);
 * - linear: slot i holds [min + i·step, min + (i+1)·step), and slot 0 also what is smaller;
 * - fixed: slot i holds what is below the i-th bound and in no slot before.
 */
export function rawBounds(buckets: Buckets, slots: number): number[] {
  const index = Array.from({ length: Math.max(0, slots - 1) }, (_, i) => i);
  if (buckets === 'exp2') return index.map((i) => 2 ** (i + 1));
  if (buckets === 'exp2zero') return index.map((i) => 2 ** i);
  if ('fixed' in buckets) return buckets.fixed.slice(0, Math.max(0, slots - 1));
  const { min, step } = buckets.linear;
  return index.map((i) => min + (i + 1) * step);
}

/** The slot that a program must count `value` in: the definition that tests hold the kernel's side against. */
export function slotFor(buckets: Buckets, slots: number, value: number): number {
  const bounds = rawBounds(buckets, slots);
  const slot = bounds.findIndex((bound) => value < bound);
  return slot < 0 ? slots - 1 : slot;
}

const SECONDS_DIVISOR: Readonly<Record<string, number>> = { ns: 1e9, us: 1e6, ms: 1e3, s: 1 };

/**
 * Turns the program's numbers into the metric's unit: metrics that are called `*_seconds` or `*_seconds_total` are in
 * seconds, those called `*_bytes` or `*_bytes_total` in bytes. Division keeps 1 ms exactly 0.001, which ×0.001 would not.
 */
export function scaler(metric: Pick<MetricManifest, 'name' | 'unit'>): (value: number) => number {
  if (/_seconds(_total)?$/.test(metric.name)) {
    const divisor = SECONDS_DIVISOR[metric.unit ?? 's'] ?? 1;
    return divisor === 1 ? (value) => value : (value) => value / divisor;
  }
  if (/_bytes(_total)?$/.test(metric.name) && metric.unit === 'kib') return (value) => value * 1024;
  return (value) => value;
}
