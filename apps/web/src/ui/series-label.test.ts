import { describe, expect, it } from '@jest/globals';
import { seriesFacts, seriesLabels } from './series-label.js';

const series = (...labels: Record<string, string>[]) => labels.map((one) => ({ labels: one, values: [] }));

describe('seriesLabels', () => {
  it('shows only the labels that tell series apart', () => {
    expect(seriesLabels(series({ host: 'a', syscall: 'read' }, { host: 'a', syscall: 'write' }), 'm')).toEqual([
      'read',
      'write',
    ]);
  });

  it('names the labels when there are several', () => {
    expect(seriesLabels(series({ cpu: '0', mode: 'user' }, { cpu: '1', mode: 'idle' }), 'm')).toEqual([
      'cpu=0 mode=user',
      'cpu=1 mode=idle',
    ]);
  });

  it('falls back to the metric without labels, and says “all” for empty ones', () => {
    expect(seriesLabels(series({}), 'load')).toEqual(['load']);
    expect(seriesLabels(series({ comm: '' }), 'load')).toEqual(['all']);
  });

  it('shows control characters of a device instead of obeying them', () => {
    expect(seriesLabels(series({ comm: 'a\u202eb' }), 'm')).toEqual(['a\ufffdb']);
  });
});

describe('seriesFacts', () => {
  it('skips holes', () => {
    expect(seriesFacts([1, null, 5, 3, null])).toEqual({ last: 3, max: 5 });
    expect(seriesFacts([null])).toEqual({ last: null, max: null });
    expect(seriesFacts([-4, -2])).toEqual({ last: -2, max: -2 });
  });
});
