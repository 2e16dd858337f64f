import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { until } from './process.js';
import { Stack, type Part } from './stack.js';

const LONG_MS = 240_000;

/**
 * Every part of the product as a process, a probe on this kernel, and each part killed while it runs. What is counted is
 * a thing that happens exactly once: a program of a unique name being executed.
 */
describeWithKernel('the whole stack on this kernel', ['bpf', 'tracefs'], () => {
  let stack: Stack;
  let device: string;
  let run: string;
  const programs = mkdtempSync(join(tmpdir(), 'bpfleet-execs-'));
  const executed: string[] = [];

  beforeAll(async () => {
    stack = await Stack.start();
    device = await stack.startAgent();
    run = await stack.assign('trace_exec', device);
  }, LONG_MS);
  afterAll(async () => {
    await stack?.stop();
    rmSync(programs, { recursive: true, force: true });
  }, LONG_MS);

  function execute(times: number): void {
    for (let i = 0; i < times; i++) {
      const path = join(programs, `unique-${executed.length}`);
      copyFileSync('/bin/true', path);
      execFileSync(path);
      executed.push(path);
    }
  }

  async function storedCounts(): Promise<Map<string, number>> {
    const rows = await stack.query<{ filename: string; count: string }>(
      `SELECT filename, count(*) FROM telemetry.trace_exec_exec WHERE filename LIKE $1 GROUP BY filename`,
      [`${programs}/%`],
    );
    return new Map(rows.map((row) => [row.filename, Number(row.count)]));
  }

  function allStored(): Promise<true> {
    return until(
      `all ${executed.length} executions are stored`,
      async () => {
        const counts = await storedCounts();
        return executed.every((path) => counts.has(path)) ? true : undefined;
      },
      90_000,
    );
  }

  async function expectOnceEach(): Promise<void> {
    await allStored();
    const counts = await storedCounts();
    expect(executed.filter((path) => counts.get(path) !== 1)).toEqual([]);
    expect([...counts.keys()].sort()).toEqual([...executed].sort());
  }

  it(
    'reports what the kernel saw, as rows of SQL',
    async () => {
      execute(20);
      await expectOnceEach();
    },
    LONG_MS,
  );

  it.each<[Part]>([['agent'], ['broker'], ['ingest'], ['server']])(
    'loses nothing and doubles nothing when the %s is killed while the probe runs',
    async (part) => {
      execute(10);
      await stack.endPart(part, 'SIGKILL');
      execute(10);
      await stack.startPart(part);
      execute(10);
      await expectOnceEach();
      const { items } = await stack.api.call('listRuns', { query: { device, live: 'true' } });
      expect(items.map((item) => item.id)).toEqual([run]);
    },
    LONG_MS,
  );

  it(
    'goes on when Postgres was away',
    async () => {
      execute(10);
      await stack.stopPostgres();
      execute(10);
      await stack.startPostgres();
      execute(10);
      await expectOnceEach();
    },
    LONG_MS,
  );

  it(
    'has the program attached once, and not at all when the agent was stopped',
    async () => {
      // Other tests attach to this kernel too: an agent's own links are those it has pinned.
      const links = (): string[] => {
        const all = execFileSync('bpftool', ['-j', '-f', 'link', 'show'], { encoding: 'utf8' });
        const pins = (JSON.parse(all) as { pinned?: string[] }[]).flatMap(({ pinned }) => pinned ?? []);
        return pins.filter((path) => path.includes(`/${device}/`)).sort();
      };
      const whileRunning = links();
      expect(whileRunning.length).toBeGreaterThan(0);
      await stack.endPart('agent', 'SIGTERM');
      expect(links()).toEqual([]);
      await stack.startPart('agent');
      await stack.attached('trace_exec', device);
      await until('the same links as before', async () => links().join() === whileRunning.join());
    },
    LONG_MS,
  );
});
