import { describe, expect, it } from '@jest/globals';
import { allMapBytesMax, isBeforeOldestTested, kernelSeries, mapBytesMax, untestedBefore } from './device-limits.js';

describe('what a device is let run', () => {
  it.each([
    ['4.19.0-21-armmp', true],
    ['5.9.16', true],
    ['5.10.0-28-arm64', false],
    ['5.4.0', true],
    ['6.1.0', false],
    ['10.0', false],
    ['custom', false],
    ['', false],
  ])('%j is before the oldest kernel that is tested: %s', (release, before) => {
    expect(isBeforeOldestTested(release)).toBe(before);
  });

  it.each([
    ['arm', '5.10.0-28-armmp', { major: 6, minor: 1 }],
    ['arm', '6.0.19', { major: 6, minor: 1 }],
    ['arm', '6.1.0-50-armmp', undefined],
    // What no architecture is tested with is refused, and not doubted.
    ['arm', '5.9.16', undefined],
    ['arm', 'custom', undefined],
    ['arm64', '5.10.0-28-arm64', undefined],
    ['x86_64', '5.10.0', undefined],
    ['riscv', '5.15.0', undefined],
    ['constructor', '5.15.0', undefined],
  ])('on %s, %j is before the oldest that is tested there: %j', (arch, release, oldest) => {
    expect(untestedBefore(arch, release)).toEqual(oldest);
  });

  it('reads the series of a release, and nothing into other text', () => {
    expect(kernelSeries('6.12.73+deb13-arm64')).toEqual({ major: 6, minor: 12 });
    for (const text of ['6', 'v6.1', '6.', '999999.1', '-6.1']) expect(kernelSeries(text)).toBeUndefined();
  });

  it('is a sixteenth of its memory for the maps of one probe', () => {
    expect(mapBytesMax(64 * 1024 ** 2)).toBe(4 * 1024 ** 2);
    expect(mapBytesMax(1)).toBe(0);
    expect(allMapBytesMax(64 * 1024 ** 2)).toBe(16 * 1024 ** 2);
  });
});
