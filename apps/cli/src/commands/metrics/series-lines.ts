import type { SeriesResponse } from '@bpfleet/api';
import { valueText } from '../../output/numbers.js';
import { tableLines } from '../../output/printer.js';

const bars = '▁▂▃▄▅▆▇█';
const sparkColumns = 40;

/** A line for each series: its labels, last, smallest and largest value, and its course. */
export function seriesLines(response: SeriesResponse): string[] {
  const { metric, unit, series } = response;
  if (series.length === 0) return ['No values in this window.'];
  const text = (value: number | null) => (value === null ? '-' : valueText(value, metric, unit));
  const known = (values: readonly (number | null)[]) => values.filter((value) => value !== null);
  const least = (values: number[]) => (values.length > 0 ? values.reduce((a, b) => Math.min(a, b)) : null);
  const most = (values: number[]) => (values.length > 0 ? values.reduce((a, b) => Math.max(a, b)) : null);
  const lines = tableLines(series, [
    { title: 'SERIES', cell: (one) => labelsText(one.labels) },
    { title: 'LAST', right: true, cell: (one) => text(known(one.values).at(-1) ?? null) },
    { title: 'MIN', right: true, cell: (one) => text(least(known(one.values))) },
    { title: 'MAX', right: true, cell: (one) => text(most(known(one.values))) },
    { title: 'COURSE', cell: (one) => sparkline(one.values, sparkColumns) },
  ]);
  return response.truncated ? [...lines, 'There are more series; --top shows more of them.'] : lines;
}

function labelsText(labels: Record<string, string>): string {
  return (
    Object.entries(labels)
      .map((pair) => pair.join('='))
      .join(' ') || '(all)'
  );
}

/** Values from zero to the largest as bars; blanks where nothing is known. */
export function sparkline(values: readonly (number | null)[], columns: number): string {
  const width = Math.min(columns, values.length);
  const cells = Array.from({ length: width }, (_, i) => {
    const part = values.slice(Math.floor((i * values.length) / width), Math.floor(((i + 1) * values.length) / width));
    const known = part.filter((value) => value !== null);
    return known.length > 0 ? known.reduce((a, b) => a + b, 0) / known.length : null;
  });
  const max = cells.reduce<number>((most, value) => Math.max(most, value ?? 0), 0);
  return cells
    .map((value) =>
      value === null ? ' ' : max > 0 ? bars[Math.min(7, Math.max(0, Math.floor((value / max) * 8)))] : bars[0],
    )
    .join('');
}
