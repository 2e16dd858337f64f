import type { HeatmapResponse } from '@bpfleet/api';
import { countText, valueText } from '../../output/numbers.js';

const barColumns = 40;

/** The whole window as one histogram, and its quantiles at the end of the window. */
export function heatmapLines(heat: HeatmapResponse): string[] {
  const { metric, unit, bounds, counts } = heat;
  const buckets = counts[0]?.map((_, bucket) => counts.reduce((sum, column) => sum + (column[bucket] ?? 0), 0)) ?? [];
  const first = buckets.findIndex((count) => count > 0);
  if (first < 0) return ['No observations in this window.'];
  const last = buckets.findLastIndex((count) => count > 0);
  const most = buckets.reduce((a, b) => Math.max(a, b), 0);
  const value = (number: number) => valueText(number, metric, unit);
  const rows = buckets.slice(first, last + 1).map((count, i) => {
    const bound = bounds[first + i];
    const name = bound === undefined ? `above ${value(bounds.at(-1) ?? 0)}` : `up to ${value(bound)}`;
    return {
      name,
      count: countText(count),
      bar: '█'.repeat(count > 0 ? Math.max(1, Math.round((count / most) * barColumns)) : 0),
    };
  });
  const nameWidth = Math.max(...rows.map((row) => row.name.length));
  const countWidth = Math.max(...rows.map((row) => row.count.length));
  const quantiles = (['p50', 'p90', 'p99'] as const).flatMap((key) => {
    const now = heat.quantiles[key].findLast((number) => number !== null);
    return now === undefined || now === null ? [] : [`${key} ${value(now)}`];
  });
  return [
    ...rows.map((row) => `${row.name.padStart(nameWidth)}  ${row.count.padStart(countWidth)}  ${row.bar}`.trimEnd()),
    ...(quantiles.length > 0 ? [`last: ${quantiles.join(', ')}`] : []),
  ];
}
