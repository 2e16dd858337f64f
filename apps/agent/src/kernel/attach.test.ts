import { describe, expect, it } from '@jest/globals';
import { attachFailure, parseCpuList } from './attach.js';

describe('attachFailure', () => {
  const busy = { message: 'attach: EBUSY', errnoName: 'EBUSY' };

  it('says who is in the way of an XDP program', () => {
    expect(attachFailure('xdp', { interface: 'eth0' }, busy)).toMatch(/another XDP program is attached to eth0/);
  });

  it('leaves every other failure as the kernel said it', () => {
    expect(attachFailure('tracing', {}, busy)).toBe('attach: EBUSY');
    expect(attachFailure('xdp', {}, { message: 'attach: EPERM', errnoName: 'EPERM' })).toBe('attach: EPERM');
  });
});

describe('parseCpuList', () => {
  it.each([
    ['0', [0]],
    ['0-3,6\n', [0, 1, 2, 3, 6]],
    ['', []],
  ])('%j', (text, cpus) => expect(parseCpuList(text)).toEqual(cpus));
});
