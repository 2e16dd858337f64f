import { describe, expect, it } from '@jest/globals';
import { parseTimeSearch, windowOf, windowSeconds } from './time-window.js';

describe('parseTimeSearch', () => {
  it('keeps a known range, and leaves the default out of the URL', () => {
    expect(parseTimeSearch({ range: '6h' })).toEqual({ range: '6h' });
    expect(parseTimeSearch({ range: '15m' })).toEqual({});
  });

  it('lets a fixed window win, and keeps the range to go back to', () => {
    const time = parseTimeSearch({ range: '6h', from: 100, to: 200 });
    expect(time).toEqual({ range: '6h', from: 100, to: 200 });
    expect(windowSeconds(time, 9e12)).toEqual({ from: 100, to: 200 });
  });

  it.each([
    { from: 200, to: 100 },
    { from: 1.5, to: 3 },
    { from: -5, to: 3 },
    { to: 100 },
    { range: '7y' },
    { from: {} },
  ])('leaves out what makes no sense: %j', (raw) => expect(parseTimeSearch(raw)).toEqual({}));
});

describe('windowOf', () => {
  it('ends now for a range, to the next second, so that the newest value is inside', () => {
    expect(windowSeconds({ range: '5m' }, 1_000_000_200)).toEqual({ from: 1_000_001 - 300, to: 1_000_001 });
  });

  it('does not move for a fixed window', () => {
    expect(windowOf({ from: 60, to: 120 }, 9e12)).toEqual({
      from: '1970-01-01T00:01:00.000Z',
      to: '1970-01-01T00:02:00.000Z',
    });
  });
});
