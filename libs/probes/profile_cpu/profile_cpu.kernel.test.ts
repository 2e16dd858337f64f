import { readFileSync } from 'node:fs';
import { expect, it } from '@jest/globals';
import type { ProfileSample } from '@bpfleet/probe';
import { describeWithKernel } from '@bpfleet/testkit';
import { RunningProbe } from '../testing/running-probe.js';

const FREQUENCY_HZ = 999;
// Some ten seconds of CPU.
const ROUNDS_MAX = 1000;

/** Burns CPU, in the kernel too, until the samples are enough; the sampling clock only runs while we do. */
function burnUntil(samples: () => ProfileSample[], enough: (all: ProfileSample[]) => boolean): ProfileSample[] {
  for (let round = 0; round < ROUNDS_MAX; round++) {
    for (let i = 0; i < 200; i++) readFileSync('/proc/self/maps');
    const all = samples();
    if (enough(all)) return all;
  }
  throw new Error(`not enough samples: ${JSON.stringify(samples())}`);
}

const total = (samples: ProfileSample[]) => samples.reduce((sum, sample) => sum + sample.count, 0);

describeWithKernel('profile_cpu', ['bpf', 'btf', 'clang'], () => {
  it('samples the stacks of one busy process, in the kernel and outside', async () => {
    const probe = await RunningProbe.start('profile_cpu', {
      frequency_hz: FREQUENCY_HZ,
      pid: process.pid,
      user_stacks: true,
    });
    try {
      const samples = burnUntil(
        () => probe.profile('cpu'),
        (all) => total(all) >= 20 && all.some((s) => s.kernelStackId !== undefined && s.userStackId !== undefined),
      );
      for (const sample of samples) expect(sample.labels['pid']).toBe(String(process.pid));
      expect(samples.every((sample) => sample.labels['comm'] !== '')).toBe(true);

      const both = samples.find((s) => s.kernelStackId !== undefined && s.userStackId !== undefined) as ProfileSample;
      const frames = (id: number) => {
        const key = Buffer.alloc(4);
        key.writeUInt32LE(id);
        const stack = probe.object.map('stacks').lookup(key) as Buffer;
        return Array.from({ length: stack.length / 8 }, (_, i) => stack.readBigUInt64LE(i * 8)).filter(
          (ip) => ip !== 0n,
        );
      };
      // Kernel addresses have their highest bit set, those of programs have not.
      expect(frames(both.kernelStackId as number)[0] as bigint).toBeGreaterThan(1n << 63n);
      expect(frames(both.userStackId as number)[0] as bigint).toBeLessThan(1n << 63n);
    } finally {
      probe.close();
    }
  });

  it('keeps no stacks that were not asked for', async () => {
    const probe = await RunningProbe.start('profile_cpu', {
      frequency_hz: FREQUENCY_HZ,
      pid: process.pid,
      user_stacks: false,
      kernel_stacks: false,
    });
    try {
      const samples = burnUntil(
        () => probe.profile('cpu'),
        (all) => total(all) >= 5,
      );
      expect(samples.every((s) => s.kernelStackId === undefined && s.userStackId === undefined)).toBe(true);
      expect(probe.object.map('stacks').readAll().count).toBe(0);
    } finally {
      probe.close();
    }
  });

  it('sees other processes, and never the idle task', async () => {
    const probe = await RunningProbe.start('profile_cpu', { frequency_hz: FREQUENCY_HZ });
    try {
      const samples = burnUntil(
        () => probe.profile('cpu'),
        (all) => total(all) >= 20,
      );
      expect(samples.some((sample) => sample.labels['pid'] === String(process.pid))).toBe(true);
      expect(samples.some((sample) => sample.labels['pid'] === '0')).toBe(false);
    } finally {
      probe.close();
    }
  });
});
