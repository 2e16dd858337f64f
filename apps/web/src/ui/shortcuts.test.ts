import { describe, expect, it } from '@jest/globals';
import { shortcutReader } from './shortcuts.js';

describe('shortcutReader', () => {
  it('goes where the key after g says', () => {
    const read = shortcutReader();
    expect(read('g', 0)).toBe('waiting');
    expect(read('d', 500)).toEqual({ type: 'go', to: '/devices' });
    expect(read('d', 600)).toBeUndefined();
  });

  it('forgets a g that was too long ago', () => {
    const read = shortcutReader();
    read('g', 0);
    expect(read('d', 5_000)).toBeUndefined();
  });

  it('takes the key after g for nothing else', () => {
    const read = shortcutReader();
    read('g', 0);
    expect(read('t', 100)).toBeUndefined();
    expect(read('t', 200)).toEqual({ type: 'scheme' });
  });

  it('knows search and help', () => {
    const read = shortcutReader();
    expect(read('/', 0)).toEqual({ type: 'search' });
    expect(read('?', 1)).toEqual({ type: 'help' });
    expect(read('x', 2)).toBeUndefined();
  });
});
