import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { benchFacts } from '../../control/testing/bench.js';
import { FakeMachines } from '../testing/fake-machines.js';
import { LabBench } from '../testing/lab-bench.js';
import { FAILURES_MAX, LEASE_MS } from './lab-queue.js';

describeWithKernel('a server of the lab', ['clang'], () => {
  let lab: LabBench<FakeMachines>;

  beforeAll(async () => {
    lab = await LabBench.start(new FakeMachines());
  });
  afterAll(() => lab?.stop());
  beforeEach(() => lab.clear());

  it('drops nothing that waits for a kernel when it no longer holds it, though it measured another than was known', async () => {
    const { id } = await lab.publish();
    const kernel = await lab.addKernel('board');
    await lab.settle();
    await lab.kernels.prove('kari', id, undefined);
    const claimed = await lab.queue.claim('slow');
    lab.bench.clock.advance(LEASE_MS + 1);
    await lab.queue.claim('two');
    const facts = { ...benchFacts, kernelBuildId: 'fd'.repeat(20) };
    expect(await lab.queue.booted(claimed as NonNullable<typeof claimed>, 'slow', facts, 1)).toBe('lost');
    expect(await lab.bench.prisma.labJob.findMany()).toHaveLength(1);
    expect(await lab.queue.renew(kernel, 'two')).toBe(true);
  });

  it('counts failures in a row from the boot that came up last', async () => {
    await lab.addKernel('board');
    await lab.bench.prisma.labKernel.updateMany({ data: { failures: FAILURES_MAX - 1 } });
    const claimed = (await lab.queue.claim('one')) as NonNullable<Awaited<ReturnType<typeof lab.queue.claim>>>;
    await lab.queue.booted(claimed, 'one', benchFacts, 1);
    await lab.queue.bootFailed(claimed, 'one', { reason: 'it went away', console: [], final: false });
    const { state, failures, dueAt } = await lab.bench.prisma.labKernel.findFirstOrThrow();
    expect([state, failures, dueAt.getTime() - lab.bench.clock.now().getTime()]).toEqual(['waiting', 1, 30_000]);
  });
});
