import { describe, expect, it } from '@jest/globals';
import { bucketEdges, columnSeconds, heatGrid, heatLevel, isLogarithmic } from './heat-scale.js';

const exp2 = [1, 2, 4, 8, 16, 32];
const linear = [10, 20, 30, 40, 50];

describe('heatGrid', () => {
  it('leaves out the buckets at both ends that nothing fell into', () => {
    const counts = [
      [0, 3, 0, 0, 0],
      [0, 0, 0, 9, 0],
    ];
    expect(heatGrid({ counts })).toEqual({ first: 1, last: 3, max: 9, total: 12 });
  });

  it('is empty without observations', () => {
    expect(heatGrid({ counts: [[0, 0]] })).toEqual({ first: 0, last: -1, max: 0, total: 0 });
    expect(heatGrid({ counts: [] }).last).toBe(-1);
  });
});

describe('heatLevel', () => {
  it('shows one observation beside a million, and the million at full strength', () => {
    expect(heatLevel(0, 1e6)).toBe(0);
    expect(heatLevel(1, 1e6)).toBeCloseTo(0.12);
    expect(heatLevel(1e6, 1e6)).toBe(1);
    expect(heatLevel(1, 1)).toBe(1);
  });

  it('grows with the count', () => {
    const levels = [1, 2, 10, 500, 1e6].map((count) => heatLevel(count, 1e6));
    expect([...levels].sort((a, b) => a - b)).toEqual(levels);
  });
});

describe('buckets', () => {
  it('tells doubling bounds from even ones', () => {
    expect(isLogarithmic(exp2)).toBe(true);
    expect(isLogarithmic(exp2.map((bound) => bound / 1e6))).toBe(true);
    expect(isLogarithmic(linear)).toBe(false);
    expect(isLogarithmic([])).toBe(false);
  });

  it('draws the first bucket one doubling high, and what is above the last bound too', () => {
    expect(bucketEdges(exp2, 0, true)).toEqual([0.5, 1]);
    expect(bucketEdges(exp2, 3, true)).toEqual([4, 8]);
    expect(bucketEdges(exp2, 6, true)).toEqual([32, 64]);
  });

  it('starts linear buckets at zero', () => {
    expect(bucketEdges(linear, 0, false)).toEqual([0, 10]);
    expect(bucketEdges(linear, 5, false)).toEqual([50, 60]);
  });

  it('keeps every edge of a logarithmic axis above zero', () => {
    const bounds = [0, 1, 2, 4, 8];
    for (let bucket = 1; bucket <= bounds.length; bucket += 1) {
      expect(bucketEdges(bounds, bucket, true)[0]).toBeGreaterThan(0);
    }
  });
});

describe('columnSeconds', () => {
  it('is the smallest gap, because a device that was away leaves holes', () => {
    expect(columnSeconds([0, 10, 20, 90, 100])).toBe(10);
    expect(columnSeconds([5])).toBe(10);
  });
});
