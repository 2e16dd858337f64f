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
  const refusing = (section: string, error: LibbpfError): Program => {
    const attach = (): never => {
      throw error;
    };
    return { name: 'p', type: 'kprobe', section, attach } as unknown as Program;
  };

  it('says that a hook is not there, and which', () => {
    const gone = new LibbpfError('BPF_ATTACH', 'attach p', 2, 'failed to attach to raw tracepoint');
    expect(() => attachProgram(refusing('raw_tp/gone', gone), {})).toThrow(
      expect.objectContaining({
        code: 'HOOK_MISSING',
        message: 'p (raw_tp/gone): this kernel has no raw tracepoint gone',
        facts: { program: 'p', errno: 2, errnoName: 'ENOENT' },
      }),
    );
  });

  it.each<[LibbpfErrorCode, string]>([
    ['BPF_UNSUPPORTED', 'TARGET_UNTRACEABLE'],
    ['BPF_ATTACH', 'ATTACH_FAILED'],
  ])('says of %s whether it is worth trying again: %s', (code, agentCode) => {
    const thumb = new LibbpfError(code, 'attach p', 95, 'function f of libc.so.6 is Thumb code');
    expect(() => attachProgram(refusing('uprobe/libc.so.6:f', thumb), {})).toThrow(
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
