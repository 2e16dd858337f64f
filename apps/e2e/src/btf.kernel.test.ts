import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { until } from './process.js';
import { Stack } from './stack.js';

const LONG_MS = 240_000;
const KERNEL_BTF = '/sys/kernel/btf/vmlinux';
/** For the agent, this kernel then shows no types. */
const WITHOUT_BTF = ['--btf', '/nonexistent/vmlinux'];

describeWithKernel('a kernel’s types, from the device to a probe', ['bpf', 'btf', 'tracefs'], () => {
  let stack: Stack;
  let device: string;
  const programs = mkdtempSync(join(tmpdir(), 'bpfleet-execs-'));

  beforeAll(async () => {
    stack = await Stack.start();
    device = await stack.startAgent();
  }, LONG_MS);
  afterAll(async () => {
    await stack?.stop();
    rmSync(programs, { recursive: true, force: true });
  }, LONG_MS);

  const kernel = async () => (await stack.api.call('getDeviceKernel', { path: { id: device } })).kernel;

  const untilBtf = (state: string) =>
    until(`its BTF is ${state}`, async () => {
      const found = await kernel();
      return found?.btf.state === state ? found : undefined;
    });

  async function storedExecutions(path: string): Promise<number> {
    const sql = 'SELECT count(*) FROM telemetry.trace_exec_exec WHERE filename = $1';
    return Number((await stack.query<{ count: string }>(sql, [path]))[0]?.count);
  }

  it(
    'are fetched once from the device that shows them',
    async () => {
      const { btf } = await untilBtf('known');
      const { items } = await stack.api.call('listBtf', {});
      expect(items).toMatchObject([
        { digest: btf.digest, source: 'device', addedBy: device, devices: 1, pointerBits: 64 },
      ]);
    },
    LONG_MS,
  );

  it(
    'are missing where a kernel shows none, and the run says so',
    async () => {
      await stack.endPart('agent', 'SIGTERM');
      await stack.startPart('agent', WITHOUT_BTF);
      await untilBtf('missing');
      const release = await stack.publishBuiltIn('trace_exec');
      await stack.api.call('createAssignment', { body: { releaseId: release, selector: 'all', params: {} } });
      const rejected = await until('the run is rejected', async () => {
        const { items } = await stack.api.call('listRuns', { query: { device } });
        return items.find(({ state }) => state === 'REJECTED');
      });
      expect(rejected.error).toMatchObject({
        code: 'BTF_MISSING',
        message: expect.stringContaining('bpfleet btf add'),
      });
      expect((await stack.cli('kernels', 'list')).stdout).toMatch(/\bnone\b/);
    },
    LONG_MS,
  );

  it(
    'are given by an administrator, and the probe runs with a BTF that was tailored and signed for it',
    async () => {
      const buildId = (await kernel())?.kernelBuildId ?? '';
      const added = await stack.cli('btf', 'add', KERNEL_BTF, '--build-id', buildId);
      expect(added).toMatchObject({ code: 0, stdout: expect.stringContaining('1 device has that kernel.') });
      await untilBtf('added');
      await stack.attached('trace_exec', device);
      const path = join(programs, 'unique');
      copyFileSync('/bin/true', path);
      execFileSync(path);
      await until('the execution is stored', async () => (await storedExecutions(path)) === 1, 90_000);
    },
    LONG_MS,
  );
});
