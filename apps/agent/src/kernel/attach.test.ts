import { describe, expect, it } from '@jest/globals';
import { LibbpfError, type LibbpfErrorCode, type Program } from '@bpfleet/node-libbpf';
import { assertTcx, attachFailure, attachProgram, parseCpuList } from './attach.js';

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

describe('attachProgram', () => {
  it.each<[LibbpfErrorCode, string]>([
    ['BPF_UNSUPPORTED', 'TARGET_UNTRACEABLE'],
    ['BPF_ATTACH', 'ATTACH_FAILED'],
  ])('says of %s whether it is worth trying again: %s', (code, agentCode) => {
    const attach = (): never => {
      throw new LibbpfError(code, 'attach p', 95, 'function f of libc.so.6 is Thumb code');
    };
    expect(() => attachProgram({ name: 'p', type: 'kprobe', attach } as unknown as Program, {})).toThrow(
      expect.objectContaining({ code: agentCode, message: expect.stringContaining('is Thumb code') }),
    );
  });
});

describe('assertTcx', () => {
  it('says why a tc program is not attached to a kernel without tcx links', () => {
    expect(() => assertTcx('p', '6.1.0-50-arm64')).toThrow(
      expect.objectContaining({
        code: 'FEATURE_MISSING',
        message: expect.stringMatching(
          /tcx link: kernels have those from 6\.6 on, and this one is 6\.1\.0-50-arm64; .* outlive/,
        ),
      }),
    );
    for (const release of ['6.6.0', '7.2.1-arm64', 'custom']) expect(() => assertTcx('p', release)).not.toThrow();
  });
});

describe('parseCpuList', () => {
  it.each([
    ['0', [0]],
    ['0-3,6\n', [0, 1, 2, 3, 6]],
    ['', []],
  ])('%j', (text, cpus) => expect(parseCpuList(text)).toEqual(cpus));
});
