import { describe, expect, it } from '@jest/globals';
import { heatmapLines } from './heatmap-lines.js';
import { seriesLines, sparkline } from './series-lines.js';

describe('heatmapLines', () => {
  const heat = {
    metric: 'wait_seconds',
    unit: 'us',
    bounds: [0.001, 0.002, 0.004],
    times: [1, 2],
    counts: [
      [0, 5, 1, 0],
      [0, 15, 0, 1],
    ],
    quantiles: { p50: [0.002, 0.002], p90: [null, null], p99: [0.004, null] },
  };

  it('adds the window up, without the empty buckets at its ends, and tells the newest quantiles', () => {
    expect(heatmapLines(heat)).toEqual([
      `up to 2 ms  20  ${'█'.repeat(40)}`,
      'up to 4 ms   1  ██',
      'above 4 ms   1  ██',
      'last: p50 2 ms, p99 4 ms',
    ]);
  });

  it('says so when nothing was observed', () => {
    expect(heatmapLines({ ...heat, counts: [[0, 0, 0, 0]] })).toEqual(['No observations in this window.']);
  });
});

describe('seriesLines', () => {
  it('shows last, smallest, largest and the course, and that there is more', () => {
    const series = [{ labels: { syscall: 'read\u001b[2J' }, values: [0, null, 8] }];
    const lines = seriesLines({ metric: 'calls_total', unit: 'count/s', times: [1, 2, 3], series, truncated: true });
    expect(lines).toEqual([
      'SERIES            LAST  MIN  MAX  COURSE',
      'syscall=read\ufffd[2J   8/s  0/s  8/s  ▁ █',
      'There are more series; --top shows more of them.',
    ]);
  });

  it('squeezes a long course into its columns, and draws zeros as the lowest bar', () => {
    expect(sparkline([0, 0, 8, 8], 2)).toBe('▁█');
    expect(sparkline([0, 0], 40)).toBe('▁▁');
    expect(sparkline([], 40)).toBe('');
  });
});
