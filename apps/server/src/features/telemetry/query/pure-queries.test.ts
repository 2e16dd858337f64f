import { describe, expect, it } from '@jest/globals';
import { counterRates, gaugeValues, type StepRow } from './counter-rates.js';
import { flameTree } from './flame-tree.js';
import { histogramCounts, quantile } from './histogram-steps.js';
import { timeGrid, timeRange } from './time-grid.js';

const grid = { fromSeconds: 0, stepSeconds: 10, count: 4 };
const row = (at: number, last: number | null, increase = 0, first: number | null = null): StepRow => ({
  at,
  last,
  increase,
  first,
});

describe('time', () => {
  const now = new Date('2026-11-22T12:00:00.000Z');

  it('is the last 15 minutes in steps that divide an hour', () => {
    const made = timeGrid(timeRange({}, now), undefined, 5, 400);
    expect(made).toEqual({ fromSeconds: now.getTime() / 1000 - 900, stepSeconds: 5, count: 180 });
  });

  it('is never cut into more points than asked', () => {
    for (const hours of [1, 7, 100, 2000]) {
      const range = timeRange({ from: new Date(now.getTime() - hours * 3_600_000).toISOString() }, now);
      for (const step of [undefined, 1, 7, 3600]) expect(timeGrid(range, step, 5, 400).count).toBeLessThanOrEqual(401);
    }
  });

  it('must run forwards and not be endless', () => {
    expect(() => timeRange({ from: now.toISOString(), to: now.toISOString() }, now)).toThrow('before');
    expect(() => timeRange({ from: '2020-01-01T00:00:00.000Z' }, now)).toThrow('92 days');
  });
});

describe('rates', () => {
  it('of samples between the steps are shared out by time', () => {
    const rates = counterRates([row(-5, 0, 0, 0), row(15, 20, 20), row(35, 60, 40)], [], grid);
    expect(rates).toEqual([1, 1.5, 2, 2]);
  });

  it('are unknown where nobody looked for long', () => {
    const rows = [row(-700, 0, 0, 0), row(5, 1000, 1000), row(15, 1010, 10)];
    expect(counterRates(rows, [], grid)).toEqual([1, 1, null, null]);
  });

  it('are zero while the agent looked and nothing moved', () => {
    expect(counterRates([row(5, 7, 0, 7)], [5, 15, 25], grid)).toEqual([0, 0, 0, null]);
  });

  it('count an entry that appeared from zero', () => {
    expect(counterRates([row(25, 10, 0, 10)], [5, 15, 25], grid)).toEqual([0, 0.5, 1, null]);
  });
});

it('a gauge ends where its entry went', () => {
  expect(gaugeValues([row(5, 3), row(25, null)], [5, 15, 25, 35], grid)).toEqual([3, 3, null, null]);
});

describe('histograms', () => {
  const state = (series: string, at: number, buckets: number[]) => ({ series, run: 'r', at, buckets });

  it('begin again after a reset and leave a first state out', () => {
    const rows = [state('1', 1, [5, 5]), state('1', 11, [6, 9]), state('2', 12, [1, 0]), state('1', 21, [2, 0])];
    expect(histogramCounts(rows, 2, grid)).toEqual([
      [0, 0],
      [2, 4],
      [2, 0],
      [0, 0],
    ]);
  });

  it('know the look before this one from others of the same time', () => {
    const rows = [
      state('1', 1, [1]),
      state('2', 1, [1]),
      state('3', 11, [5]),
      state('4', 11, [7]),
      state('5', 21, [2]),
    ];
    expect(histogramCounts(rows, 1, grid)).toEqual([[0], [12], [2], [0]]);
  });

  it('are walked once: a step for every pair of millions of rows would never end', () => {
    const rows = Array.from({ length: 2_000_000 }, (_, index) => state('1', index / 50_000, [index]));
    expect(histogramCounts(rows, 1, grid)).toEqual([[499_999], [500_000], [500_000], [500_000]]);
  });

  it('have quantiles within the bucket they fall into', () => {
    expect(quantile([0, 0, 0], [1, 2], 0.5)).toBeNull();
    expect(quantile([0, 10, 0], [1, 2], 0.5)).toBe(1.5);
    expect(quantile([0, 0, 4], [1, 2], 0.5)).toBe(2);
  });
});

it('a flame tree of many stacks loses its smallest branches, not their counts', () => {
  const stacks = Array.from({ length: 100 }, (_, index) => ({ frames: ['main', `f${index}`], count: index + 1 }));
  const tree = flameTree(stacks, 20);
  const main = tree.children[0];
  expect(tree.value).toBe(5050);
  expect(main?.value).toBe(5050);
  expect(main?.children.length).toBeLessThanOrEqual(20);
  expect(main?.children[0]).toEqual({ name: 'f99', value: 100, children: [] });
});

it('a flame tree of many stacks that are all as heavy keeps as many as it may', () => {
  const stacks = Array.from({ length: 100 }, (_, index) => ({ frames: [`f${index}`, 'inner'], count: 1 }));
  const tree = flameTree(stacks, 20);
  expect(tree.value).toBe(100);
  expect(tree.children.map(({ name, children }) => [name, children.length])).toEqual([
    ...Array.from({ length: 9 }, (_, index) => [`f${index}`, 1]),
    ['f9', 0],
  ]);
});
