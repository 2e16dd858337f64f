import { describe, expect, it } from '@jest/globals';
import type { RunningVm } from '@bpfleet/vm';
import { measure } from './measured-kernel.js';

/** A guest that answers what a kernel with little built in answers: files that are not there end their reader with 1. */
function guest(files: Readonly<Record<string, string | Buffer>>): RunningVm {
  const ended = (content: string | Buffer | undefined) => ({
    code: content === undefined ? 1 : 0,
    stdout: typeof content === 'string' ? Buffer.from(content) : (content ?? Buffer.alloc(0)),
    stderr: Buffer.alloc(0),
  });
  const vm = {
    guest: { release: '5.15.7-board', machine: 'aarch64', arch: 'arm64' },
    exec: (argv: readonly string[]) => Promise.resolve(ended(files[argv.at(-1) ?? ''])),
    get: () => Promise.resolve(Buffer.alloc(0)),
  };
  return vm as unknown as RunningVm;
}

/** What a program of 64 bits gets from its kernel. */
function auxv(pageBytes: number): Buffer {
  const words = [16, 6, 6, pageBytes, 0, 0];
  return Buffer.from(BigUint64Array.from(words.map(BigInt)).buffer);
}

describe('a kernel that is up', () => {
  it('is measured where it shows little, as the agent measures it', async () => {
    const { kernel, btf } = await measure(guest({ '/proc/self/auxv': auxv(16_384) }));
    expect(kernel).toEqual({
      ...{ kernelRelease: '5.15.7-board', kernelArch: 'arm64', kernelBuildId: null },
      ...{ userBits: 64, jit: null, lsm: [], pageBytes: 16_384 },
    });
    expect(btf).toBeUndefined();
  });

  it('is what its files say', async () => {
    const { kernel } = await measure(
      guest({
        '/proc/self/auxv': auxv(65_536),
        '/proc/sys/net/core/bpf_jit_enable': '1\n',
        '/proc/sys/net/core/bpf_jit_harden': '2\n',
        '/sys/kernel/security/lsm': 'capability,yama\n',
      }),
    );
    expect(kernel).toMatchObject({ pageBytes: 65_536, jit: 'hardened', lsm: ['capability', 'yama'] });
  });

  it('is not taken for one of 4 KiB when it does not say', async () => {
    await expect(measure(guest({ '/proc/self/auxv': '' }))).rejects.toThrow(/how large its pages are/);
  });
});
