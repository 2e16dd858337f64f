import { describe, expect, it } from '@jest/globals';
import { archText, closenessText, seriesOf } from './answer-text.js';

const proof = { kernelRelease: '6.12.73+deb13', kernelArch: 'arm64', by: 'lab', at: '' } as const;

describe('texts of an answer', () => {
  it('say how near a proof is', () => {
    expect(closenessText({ ...proof, closeness: 'same_group' })).toBe('this very kernel');
    expect(closenessText({ ...proof, closeness: 'same_series' })).toBe('same series (6.12)');
    expect(closenessText({ ...proof, closeness: 'same_series', kernelRelease: 'x' })).toBe(
      'same series (another kernel)',
    );
  });

  it('name 32-bit programs on a 64-bit kernel, and only there', () => {
    expect(archText({ kernelArch: 'arm64', userBits: 32 })).toBe('arm64, 32-bit programs');
    expect(archText({ kernelArch: 'arm', userBits: 32 })).toBe('arm');
  });

  it('read a series as it is typed, and nothing else', () => {
    expect(seriesOf(' 6.10 ')).toBe('6.10');
    for (const text of ['6', '6.12.1', 'v6.1', '', '6.x']) expect(seriesOf(text)).toBeUndefined();
  });
});
