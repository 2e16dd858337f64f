import { describe, expect, it } from '@jest/globals';
import type { RunningVm } from '@bpfleet/vm';
import { measure } from './measured-kernel.js';

/** A guest that answers what a kernel with little built in answers: files that are not there end their reader with 1. */
function guest(files: Readonly<Record<string, string>>): RunningVm {
  const ended = (text: string | undefined) => ({
    code: text === undefined ? 1 : 0,
    stdout: Buffer.from(text ?? ''),
    stderr: Buffer.alloc(0),
  });
  const vm = {
    guest: { release: '5.15.7-board', machine: 'aarch64' },
    exec: (argv: readonly string[]) => Promise.resolve(ended(files[argv.at(-1) ?? ''])),
    output: () => Promise.resolve('arm64\n'),
    get: () => Promise.resolve(Buffer.alloc(0)),
  };
  return vm as unknown as RunningVm;
}

describe('a kernel that is up', () => {
  it('is measured where it shows little: as the agent takes it then', async () => {
    const { kernel, btf } = await measure(guest({}));
    expect(kernel).toEqual({
      ...{ kernelRelease: '5.15.7-board', kernelArch: 'arm64', kernelBuildId: null },
      ...{ userBits: 64, jit: null, lsm: [], pageBytes: 4096 },
    });
    expect(btf).toBeUndefined();
  });

  it('is what its files say', async () => {
    const { kernel } = await measure(
      guest({
        '/proc/self/smaps': '16\n',
        '/proc/sys/net/core/bpf_jit_enable': '1\n',
        '/proc/sys/net/core/bpf_jit_harden': '2\n',
        '/sys/kernel/security/lsm': 'capability,yama\n',
      }),
    );
    expect(kernel).toMatchObject({ pageBytes: 16_384, jit: 'hardened', lsm: ['capability', 'yama'] });
  });
});
