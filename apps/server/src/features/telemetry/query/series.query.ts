import { Injectable } from '@nestjs/common';
import type { QueryOf, ResponseOf } from '../../../http/route.js';
import { Clock } from '../../../platform/clock.js';
import { notFound } from '../../../platform/errors.js';
import { counterRates, gaugeValues, type StepRow } from './counter-rates.js';
import { metricMeaning, seriesByLastValue, seriesSteps, type SeriesRow } from './series.store.js';
import { TelemetryReads } from './telemetry-reads.js';
import { timeGrid, timeRange, timesOf, type TimeGrid } from './time-grid.js';

const POINTS_MAX = 400;
const STEP_SECONDS_LEAST = 5;

/** Lines of a chart: each is one set of labels of one device, never an average over devices. */
@Injectable()
export class SeriesQuery {
  constructor(
    private readonly reads: TelemetryReads,
    private readonly clock: Clock,
  ) {}

  /** @throws DomainError METRIC_UNKNOWN, RANGE_INVALID, QUERY_TOO_LARGE */
  async run(query: QueryOf<'series'>): Promise<ResponseOf<'series'>> {
    const range = timeRange(query, this.clock.now());
    const grid = timeGrid(range, query.stepSeconds, STEP_SECONDS_LEAST, POINTS_MAX);
    return this.reads.read(async (client) => {
      const meaning = await metricMeaning(client, query.device, query.metric);
      if (meaning === undefined) throw notFound('metric', query.metric);
      const all = await seriesByLastValue(client, query.device, query.metric, grid);
      const lines = linesOf(all);
      const shown = lines.slice(0, query.limit);
      const steps = await seriesSteps(
        client,
        shown.flatMap(({ series }) => series.map(({ id }) => id)),
        grid,
      );
      const looks = looksByRun(all, steps);
      const asRates = meaning.type === 'counter' && query.raw !== 'true';
      return {
        metric: query.metric,
        unit: asRates ? `${meaning.unit ?? 'count'}/s` : meaning.unit,
        times: timesOf(grid),
        series: shown.map(({ labels, series }) => ({
          labels: { ...labels },
          values: valuesOf(series, steps, looks, grid, asRates),
        })),
        truncated: lines.length > shown.length,
      };
    });
  }
}

interface Line {
  readonly labels: SeriesRow['labels'];
  /** One for each run that had these labels. */
  readonly series: SeriesRow[];
}

function linesOf(all: readonly SeriesRow[]): Line[] {
  const lines = new Map<string, Line>();
  for (const row of all) {
    const key = JSON.stringify(Object.entries(row.labels).sort());
    const line = lines.get(key);
    if (line === undefined) lines.set(key, { labels: row.labels, series: [row] });
    else line.series.push(row);
  }
  return [...lines.values()];
}

/** When the agent is known to have read the map of each run. */
function looksByRun(all: readonly SeriesRow[], steps: ReadonlyMap<string, readonly StepRow[]>): Map<string, number[]> {
  const looks = new Map<string, Set<number>>();
  for (const { id, run } of all) {
    const times = looks.get(run) ?? new Set<number>();
    for (const { at } of steps.get(id) ?? []) times.add(at);
    looks.set(run, times);
  }
  return new Map([...looks].map(([run, times]) => [run, [...times]]));
}

/** Where two runs overlap, the newer one counts: both saw the same kernel. */
function valuesOf(
  series: readonly SeriesRow[],
  steps: ReadonlyMap<string, readonly StepRow[]>,
  looks: ReadonlyMap<string, readonly number[]>,
  grid: TimeGrid,
  asRates: boolean,
): (number | null)[] {
  const newestFirst = [...series].sort((a, b) => Number(BigInt(b.id) - BigInt(a.id)));
  const of = asRates ? counterRates : gaugeValues;
  const perRun = newestFirst.map(({ id, run }) => of(steps.get(id) ?? [], looks.get(run) ?? [], grid));
  return Array.from({ length: grid.count }, (_, step) => {
    for (const values of perRun) {
      const value = values[step];
      if (value !== null && value !== undefined) return value;
    }
    return null;
  });
}
