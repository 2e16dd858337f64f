import { execFile } from 'node:child_process';
import { copyFileSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { RunningProbe } from '../testing/running-probe.js';

const run = promisify(execFile);
const METRIC = 'run_queue_latency_seconds';

describeWithKernel('run_queue_latency', ['bpf', 'btf', 'clang'], () => {
  let folder: string;
  let shell: string;
  beforeAll(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'bpfleet-runq-'));
    shell = path.join(folder, 'waiting-shell');
    copyFileSync(realpathSync('/bin/sh'), shell);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  /** Twenty forks that the shell waits for: it is woken up at least that often. */
  const waits = () => run(shell, ['-c', 'i=0; while [ $i -lt 20 ]; do (:); i=$((i+1)); done']);

  it('measures one histogram for all tasks', async () => {
    const probe = await RunningProbe.start('run_queue_latency');
    try {
      await waits();
      const [all, ...more] = probe.histograms(METRIC);
      expect(more).toEqual([]);
      expect(all?.labels).toEqual({ comm: '' });
      expect(all?.count).toBeGreaterThan(20);
      expect(all?.buckets.reduce((sum, n) => sum + n, 0)).toBe(all?.count);
      expect(all?.sum).toBeGreaterThan(0);
    } finally {
      probe.close();
    }
  });

  it('measures a histogram for each task name, whose sum lies within its buckets', async () => {
    const probe = await RunningProbe.start('run_queue_latency', { by_comm: true });
    try {
      await waits();
      const shells = probe.histograms(METRIC).filter((point) => point.labels['comm'] === 'waiting-shell');
      expect(shells).toHaveLength(1);
      const { count, sum, buckets } = shells[0] as (typeof shells)[0];
      expect(count).toBeGreaterThanOrEqual(20);
      // Slot i begins at 2^i µs, slot 0 at 0, and ends before 2^(i+1).
      const [low, high] = buckets.reduce(
        ([l, h], n, i) => [l + n * (i === 0 ? 0 : 2 ** i), h + n * 2 ** (i + 1)],
        [0, 0],
      );
      expect(sum).toBeGreaterThanOrEqual(low / 1e6);
      expect(sum).toBeLessThan(high / 1e6);
    } finally {
      probe.close();
    }
  });

  it('ignores waits that are shorter than asked for', async () => {
    const probe = await RunningProbe.start('run_queue_latency', { min_us: 60_000_000 });
    try {
      await waits();
      expect(probe.histograms(METRIC)).toEqual([]);
    } finally {
      probe.close();
    }
  });

  it('measures one process alone when asked to', async () => {
    const probe = await RunningProbe.start('run_queue_latency', { pid: process.pid, by_comm: true });
    try {
      await waits();
      const names = probe.histograms(METRIC).map((point) => point.labels['comm']);
      expect(names.length).toBeGreaterThan(0);
      expect(names).not.toContain('waiting-shell');
    } finally {
      probe.close();
    }
  });
});
