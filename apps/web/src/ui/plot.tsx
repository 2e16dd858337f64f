import { useEffect, useRef } from 'react';
import uPlot from 'uplot';
import { formatClock } from './format.js';

export interface PlotTip {
  title: string;
  rows: { color: string; label: string; value: string }[];
}

interface PlotProps {
  /** A new object makes a new chart; new data alone only redraws. */
  options: Omit<uPlot.Options, 'width' | 'height'>;
  data: uPlot.AlignedData;
  height: number;
  label: string;
  /** Hidden series, by index in `data`. */
  hidden?: ReadonlySet<number>;
  tip?: (index: number, plot: uPlot) => PlotTip | null;
  /** Called with seconds since 1970 after a stretch of the time axis was dragged over. */
  onSelect?: (from: number, to: number) => void;
}

/** uPlot in a React component: keeps its width, shows a tooltip, and reports a dragged selection. */
export function Plot({ options, data, height, label, hidden, tip, onSelect }: PlotProps) {
  const host = useRef<HTMLDivElement>(null);
  const tipBox = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef({ tip, onSelect, data });
  latest.current = { tip, onSelect, data };

  useEffect(() => {
    const element = host.current;
    if (!element) return;
    const made = new uPlot(
      {
        ...options,
        width: element.clientWidth,
        height,
        hooks: {
          ...options.hooks,
          setCursor: [(u) => showTip(u, tipBox.current, latest.current.tip)],
          setSelect: [
            (u) => {
              if (u.select.width < 8) return;
              latest.current.onSelect?.(
                Math.floor(u.posToVal(u.select.left, 'x')),
                Math.ceil(u.posToVal(u.select.left + u.select.width, 'x')),
              );
              u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
            },
          ],
        },
      },
      latest.current.data,
      element,
    );
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [options, height]);

  useEffect(() => plot.current?.setData(data), [data]);
  useEffect(() => {
    for (let index = 1; index < data.length; index += 1) {
      plot.current?.setSeries(index, { show: !hidden?.has(index) });
    }
  }, [hidden, data.length, options]);

  return (
    <div className="bf-chart" role="img" aria-label={label}>
      <div ref={host} />
      <div ref={tipBox} className="bf-tip" style={{ display: 'none' }} />
    </div>
  );
}

function showTip(plot: uPlot, box: HTMLDivElement | null, tip: PlotProps['tip']): void {
  if (!box) return;
  const { left = -1, top = -1, idx } = plot.cursor;
  const content = left >= 0 && top >= 0 && idx !== null && idx !== undefined ? tip?.(idx, plot) : null;
  if (!content) {
    box.style.display = 'none';
    return;
  }
  // Built by hand and as text only: labels come from devices, and this runs at every move of the mouse.
  const title = document.createElement('div');
  title.textContent = content.title;
  title.className = 'bf-dim';
  const rows = content.rows.map((row) => {
    const line = document.createElement('div');
    const swatch = document.createElement('span');
    swatch.className = 'bf-swatch';
    swatch.style.background = row.color;
    line.append(swatch, `${row.label}  ${row.value}`);
    return line;
  });
  box.replaceChildren(title, ...rows);
  box.style.display = 'block';
  const x = left + plot.bbox.left / devicePixelRatio;
  const right = x + box.offsetWidth + 24 > plot.width;
  box.style.left = `${right ? x - box.offsetWidth - 12 : x + 14}px`;
  box.style.top = `${Math.max(0, Math.min(top, plot.height - box.offsetHeight - 8))}px`;
}

/** Hours and minutes, as an operator writes them; seconds when the marks are closer than a minute. */
export function timeMarks(_: uPlot, marks: number[], __: number, ___: number, step: number): string[] {
  return marks.map((mark) => {
    const clock = formatClock(new Date(mark * 1000).toISOString(), false);
    return step < 60 ? clock : clock.slice(0, 5);
  });
}

export function axisStyle(scheme: 'light' | 'dark'): Pick<uPlot.Axis, 'stroke' | 'grid' | 'ticks' | 'font'> {
  const dark = scheme === 'dark';
  const grid = dark ? '#232c3d' : '#eceff3';
  return {
    stroke: dark ? '#8f9aae' : '#6b7480',
    grid: { stroke: grid, width: 1 },
    ticks: { stroke: grid, width: 1, size: 4 },
    font: '11px system-ui, "Liberation Sans", sans-serif',
  };
}
