import type { SeriesResponse } from '@bpfleet/api';
import { useComputedColorScheme } from '@mantine/core';
import { useMemo, useRef, useState } from 'react';
import type uPlot from 'uplot';
import { formatClock, formatValue } from './format.js';
import { axisStyle, Plot, timeMarks, type PlotTip } from './plot.js';
import { seriesFacts, seriesLabels } from './series-label.js';
import { lineColor } from './theme.js';

interface LineChartProps {
  response: SeriesResponse;
  from: number;
  to: number;
  height?: number;
  onSelect?: (from: number, to: number) => void;
}

const tipRowsMax = 10;

export function LineChart({ response, from, to, height = 180, onSelect }: LineChartProps) {
  const { metric, unit, series } = response;
  const show = (value: number) => formatValue(value, metric, unit);
  const labels = seriesLabels(series, metric);
  const names = JSON.stringify(labels);
  const scheme = useComputedColorScheme('light');
  const [hidden, setHidden] = useState<ReadonlySet<number>>(new Set());
  const data = useMemo<uPlot.AlignedData>(
    () => [response.times, ...response.series.map((one) => one.values)],
    [response],
  );

  // Read when the chart scales itself, so that a window that moves on does not make a new chart.
  const span = useRef<[number, number]>([from, to]);
  span.current = [from, to];
  const options = useMemo(
    () =>
      lineOptions(
        JSON.parse(names) as string[],
        () => span.current,
        (value) => formatValue(value, metric, unit),
        scheme,
        /^bytes/.test(unit ?? ''),
      ),
    [names, metric, unit, scheme],
  );
  const tip = (index: number): PlotTip => ({
    title: formatClock(new Date((response.times[index] ?? 0) * 1000).toISOString(), false),
    rows: series
      .map((one, place) => ({ value: one.values[index] ?? null, place }))
      .filter((row): row is { value: number; place: number } => row.value !== null && !hidden.has(row.place + 1))
      .sort((a, b) => b.value - a.value)
      .slice(0, tipRowsMax)
      .map((row) => ({ color: lineColor(row.place), label: labels[row.place] ?? '', value: show(row.value) })),
  });
  const toggle = (index: number) =>
    setHidden((before) => {
      const after = new Set(before);
      if (!after.delete(index)) after.add(index);
      return after;
    });

  return (
    <>
      <Plot
        options={options}
        data={data}
        height={height}
        label={`${metric} over time`}
        hidden={hidden}
        tip={tip}
        onSelect={onSelect}
      />
      <div className="bf-legend">
        {labels.map((name, index) => {
          const { last } = seriesFacts(series[index]?.values ?? []);
          return (
            <button
              key={name + String(index)}
              type="button"
              aria-pressed={!hidden.has(index + 1)}
              data-off={hidden.has(index + 1) ? '' : undefined}
              onClick={() => toggle(index + 1)}
            >
              <span className="bf-swatch" style={{ background: lineColor(index) }} />
              <span className="bf-cell">{name}</span>
              <span className="bf-dim" style={{ marginLeft: 6 }}>
                {last === null ? '–' : show(last)}
              </span>
            </button>
          );
        })}
      </div>
    </>
  );
}

function lineOptions(
  names: string[],
  span: () => [number, number],
  show: (value: number) => string,
  scheme: 'light' | 'dark',
  binary: boolean,
): Omit<uPlot.Options, 'width' | 'height'> {
  return {
    legend: { show: false },
    padding: [10, 24, 0, 0],
    cursor: { drag: { x: true, y: false }, sync: { key: 'bpfleet-time' }, points: { size: 6 } },
    scales: { x: { time: true, range: span }, y: { range: (_, min, max) => lineRange(min, max) } },
    series: [
      {},
      ...names.map((label, index) => ({
        label,
        stroke: lineColor(index),
        width: 1.5,
        points: { show: false },
        spanGaps: false,
      })),
    ],
    axes: [
      { ...axisStyle(scheme), size: 28, values: timeMarks },
      {
        ...axisStyle(scheme),
        size: 74,
        ...(binary ? { incrs: binarySteps } : {}),
        values: (_, ticks) => ticks.map((tick) => show(tick)),
      },
    ],
  };
}

/** Marks at whole KiB and MiB instead of 1.91 MiB. */
const binarySteps = Array.from({ length: 50 }, (_, power) => 2 ** power);

/** From zero, because a rate that doubles must look like twice as much. */
export function lineRange(min: number, max: number): [number, number] {
  const low = Math.min(0, min ?? 0);
  const high = Math.max(max ?? 0, 0);
  return high === low ? [low, low + 1] : [low, high + (high - low) * 0.08];
}
