import type { SeriesResponse } from '@bpfleet/api';
import { printable } from './format.js';

type Series = SeriesResponse['series'][number];

/** Short names for series: values of the labels that differ; `{name=value}` pairs only when there are several. */
export function seriesLabels(series: readonly Series[], metric: string): string[] {
  const names = [...new Set(series.flatMap((one) => Object.keys(one.labels)))].sort();
  const telling = names.filter((name) => new Set(series.map((one) => one.labels[name])).size > 1);
  const used = telling.length > 0 ? telling : names;
  return series.map((one) => {
    const pairs = used
      .filter((name) => one.labels[name] !== undefined && one.labels[name] !== '')
      .map((name) => [name, printable(one.labels[name] ?? '')] as const);
    if (pairs.length === 0) return names.length === 0 ? metric : 'all';
    return pairs.length === 1 ? (pairs[0]?.[1] ?? metric) : pairs.map(([name, value]) => `${name}=${value}`).join(' ');
  });
}

export interface SeriesFacts {
  last: number | null;
  max: number | null;
}

export function seriesFacts(values: readonly (number | null)[]): SeriesFacts {
  let last: number | null = null;
  let max: number | null = null;
  for (const value of values) {
    if (value === null) continue;
    last = value;
    if (max === null || value > max) max = value;
  }
  return { last, max };
}
