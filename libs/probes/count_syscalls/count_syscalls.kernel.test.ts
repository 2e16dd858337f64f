import { getPriority } from 'node:os';
import { expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { RunningProbe } from '../testing/running-probe.js';

describeWithKernel('count_syscalls', ['bpf', 'btf', 'clang'], () => {
  // Each getPriority() is exactly one system call, which nothing else in Node makes.
  function callGetPriority(times: number): void {
    for (let i = 0; i < times; i++) getPriority(0);
  }

  const countOf = (probe: RunningProbe, syscall: string) =>
    probe.scalars('syscalls_total').find((point) => point.labels['syscall'] === syscall)?.value;

  it('counts the calls of one process exactly, by name', async () => {
    const probe = await RunningProbe.start('count_syscalls', { pid: process.pid });
    try {
      callGetPriority(500);
      expect(countOf(probe, 'getpriority')).toBe(500);
      callGetPriority(3);
      expect(countOf(probe, 'getpriority')).toBe(503);
    } finally {
      probe.close();
    }
  });

  it('counts all processes by default, and no series for calls that nobody made', async () => {
    const probe = await RunningProbe.start('count_syscalls');
    try {
      callGetPriority(10);
      expect(countOf(probe, 'getpriority')).toBeGreaterThanOrEqual(10);
      expect(countOf(probe, 'delete_module')).toBeUndefined();
    } finally {
      probe.close();
    }
  });

  it('counts nothing once it is closed', async () => {
    const probe = await RunningProbe.start('count_syscalls', { pid: process.pid });
    probe.close();
    expect(probe.object.closed).toBe(true);
  });
});
