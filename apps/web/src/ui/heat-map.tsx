import type { HeatmapResponse } from '@bpfleet/api';
import { useComputedColorScheme } from '@mantine/core';
import { useMemo, useRef } from 'react';
import uPlot from 'uplot';
import { formatClock, formatCount, formatValue } from './format.js';
import { bucketEdges, columnSeconds, heatGrid, heatLevel, isLogarithmic, type HeatGrid } from './heat-scale.js';
import { axisStyle, Plot, timeMarks, type PlotTip } from './plot.js';

const quantileLines = [
  { key: 'p50', color: '#2fa67a' },
  { key: 'p90', color: '#e08a1e' },
  { key: 'p99', color: '#d2405a' },
] as const;

interface HeatMapProps {
  heat: HeatmapResponse;
  from: number;
  to: number;
  height?: number;
  onSelect?: (from: number, to: number) => void;
}

/** A histogram over time: the darker a cell, the more observations of that size; lines are quantiles. */
export function HeatMap({ heat, from, to, height = 210, onSelect }: HeatMapProps) {
  const scheme = useComputedColorScheme('light');
  const grid = useMemo(() => heatGrid(heat), [heat]);
  const logarithmic = isLogarithmic(heat.bounds);
  const show = (value: number) => formatValue(value, heat.metric, heat.unit);
  const data = useMemo<uPlot.AlignedData>(
    () => [heat.times, ...quantileLines.map((line) => heat.quantiles[line.key])],
    [heat],
  );
  const [low] = bucketEdges(heat.bounds, grid.first, logarithmic);
  const [, high] = bucketEdges(heat.bounds, Math.max(grid.last, grid.first), logarithmic);
  // Read when the chart scales and draws itself, so that new data does not make a new chart.
  const state = useRef<HeatState>({ heat, grid, logarithmic, from, to, low, high });
  state.current = { heat, grid, logarithmic, from, to, low, high };

  const { metric, unit } = heat;
  const options = useMemo(
    () =>
      heatOptions({
        state: () => state.current,
        logarithmic,
        show: (value) => formatValue(value, metric, unit),
        scheme,
      }),
    [logarithmic, metric, unit, scheme],
  );
  const tip = (index: number, plot: uPlot): PlotTip => {
    const at = formatClock(new Date((heat.times[index] ?? 0) * 1000).toISOString(), false);
    const bucket = bucketAt(heat.bounds, plot.posToVal(plot.cursor.top ?? 0, 'y'));
    const [from_, to_] = bucketEdges(heat.bounds, bucket, logarithmic);
    const count = heat.counts[index]?.[bucket] ?? 0;
    const rows = quantileLines.flatMap(({ key, color }) => {
      const value = heat.quantiles[key][index];
      return value === null || value === undefined ? [] : [{ color, label: key, value: show(value) }];
    });
    const cell = { color: 'rgb(var(--bf-heat))', label: `${show(from_)} to ${show(to_)}:`, value: formatCount(count) };
    return { title: at, rows: [...rows, cell] };
  };

  return (
    <>
      <Plot
        options={options}
        data={data}
        height={height}
        label={`${heat.metric}: distribution over time`}
        tip={tip}
        onSelect={onSelect}
      />
      <div className="bf-legend">
        {quantileLines.map(({ key, color }) => {
          const last = heat.quantiles[key].findLast((value) => value !== null);
          return (
            <span key={key}>
              <span className="bf-swatch" style={{ background: color }} />
              {key} <span className="bf-dim">{last === null || last === undefined ? '–' : show(last)}</span>
            </span>
          );
        })}
        <span className="bf-dim">{formatCount(grid.total)} observations</span>
      </div>
    </>
  );
}

interface HeatState {
  heat: HeatmapResponse;
  grid: HeatGrid;
  logarithmic: boolean;
  from: number;
  to: number;
  low: number;
  high: number;
}

interface HeatOptions {
  state: () => HeatState;
  logarithmic: boolean;
  show: (value: number) => string;
  scheme: 'light' | 'dark';
}

function heightRange({ low, high }: HeatState): [number, number] {
  return high > low ? [low, high] : [low, low + 1];
}

function heatOptions(given: HeatOptions): Omit<uPlot.Options, 'width' | 'height'> {
  return {
    legend: { show: false },
    padding: [10, 24, 0, 0],
    cursor: { drag: { x: true, y: false }, sync: { key: 'bpfleet-time' }, points: { show: false } },
    scales: {
      x: { time: true, range: () => [given.state().from, given.state().to] },
      y: {
        distr: given.logarithmic ? 3 : 1,
        log: 2,
        range: () => heightRange(given.state()),
      },
    },
    series: [
      {},
      ...quantileLines.map((line) => ({ label: line.key, stroke: line.color, width: 1.5, points: { show: false } })),
    ],
    axes: [
      { ...axisStyle(given.scheme), size: 28, values: timeMarks },
      {
        ...axisStyle(given.scheme),
        size: 74,
        splits: (_, __, min, max) => heatSplits(min, max, given.logarithmic),
        filter: (_, splits) => splits,
        values: (_, ticks) => ticks.map((tick) => (tick === null ? '' : given.show(tick))),
      },
    ],
    hooks: { drawAxes: [(plot) => drawCells(plot, given.state())] },
  };
}

/** At most seven marks; on a logarithmic axis a whole number of doublings apart. */
export function heatSplits(min: number, max: number, logarithmic: boolean): number[] {
  const marks = 6;
  if (!logarithmic || min <= 0) return Array.from({ length: marks + 1 }, (_, i) => min + ((max - min) * i) / marks);
  const doublings = Math.log2(max / min);
  const step = 2 ** Math.max(1, Math.ceil(doublings / marks));
  const splits = [];
  for (let at = min; at <= max * 1.0001; at *= step) splits.push(at);
  return splits;
}

function bucketAt(bounds: readonly number[], value: number): number {
  const index = bounds.findIndex((bound) => value <= bound);
  return index < 0 ? bounds.length : index;
}

function drawCells(plot: uPlot, { heat, grid, logarithmic }: HeatState): void {
  const { ctx } = plot;
  const seconds = columnSeconds(heat.times);
  const color = getComputedStyle(document.documentElement).getPropertyValue('--bf-heat');
  ctx.save();
  ctx.beginPath();
  ctx.rect(plot.bbox.left, plot.bbox.top, plot.bbox.width, plot.bbox.height);
  ctx.clip();
  const edges = heat.counts[0]?.map((_, bucket) => {
    const [low, high] = bucketEdges(heat.bounds, bucket, logarithmic);
    return [plot.valToPos(low, 'y', true), plot.valToPos(high, 'y', true)] as const;
  });
  for (const [column, time] of heat.times.entries()) {
    const left = Math.round(plot.valToPos(time, 'x', true));
    const right = Math.round(plot.valToPos(time + seconds, 'x', true));
    for (let bucket = grid.first; bucket <= grid.last; bucket += 1) {
      const level = heatLevel(heat.counts[column]?.[bucket] ?? 0, grid.max);
      const edge = edges?.[bucket];
      if (level === 0 || !edge) continue;
      ctx.fillStyle = `rgba(${color}, ${level.toFixed(3)})`;
      ctx.fillRect(left, Math.round(edge[1]), Math.max(1, right - left), Math.round(edge[0]) - Math.round(edge[1]));
    }
  }
  ctx.restore();
}
