import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { describeWithKernel } from '@bpfleet/testkit';
import { KernelVerdicts } from '../../kernels/index.js';
import { ReleaseKernels } from '../release-kernels.js';
import { FAKE_KERNEL, FakeMachines } from '../testing/fake-machines.js';
import { LabBench } from '../testing/lab-bench.js';
import { ASKED_SETS_MAX, ASSIGNED_SETS_MAX, LabParams } from './lab-params.js';

const TUNED = 'const volatile int depth = 7; SEC("raw_tp/x") int p(void *c) { return depth; }';
const MANIFEST = 'params: { depth: { default: 7 }, nothing: { default: 0 } }';
const DAY_MS = 24 * 60 * 60_000;

describeWithKernel('a release with parameters', ['clang'], () => {
  let lab: LabBench<FakeMachines>;

  beforeAll(async () => {
    lab = await LabBench.start(new FakeMachines());
  });
  afterAll(() => lab?.stop());
  beforeEach(async () => {
    await lab.clear();
    lab.machines.kernel = FAKE_KERNEL;
    lab.machines.proofs.length = 0;
    await lab.addKernel('board');
  });

  const withdraw = (id: string) => lab.bench.prisma.assignment.update({ where: { id }, data: { state: 'withdrawn' } });
  /** The first byte of what each proof took for constants. */
  const depths = () => lab.machines.proofs.map(({ globals }) => parseInt(globals['.rodata']?.slice(0, 2) ?? '', 16));
  const sets = () => lab.bench.prisma.labParams.findMany();
  const verdicts = async (id: string) =>
    (await lab.bench.get(KernelVerdicts).newestOf(id)).filter(({ stage }) => stage === 'prove');

  it('is proven with those of its assignments, once for what is one program, beside its defaults', async () => {
    const { id } = await lab.publish(TUNED, MANIFEST);
    const sets: Record<string, number>[] = [{}, { depth: 1 }, { depth: 1, nothing: 4 }, { depth: 7 }, { nothing: 3 }];
    for (const params of sets) await lab.assign(id, params);
    await lab.settle();
    expect(depths().sort()).toEqual([1, 7]);
    const [byDefault, changed] = (await verdicts(id)).sort((a, b) => a.globals.length - b.globals.length);
    expect([byDefault?.globals, changed?.globals]).toEqual(['', expect.stringMatching(/^[0-9a-f]{64}$/)]);
    // What is shown of the release is what it is by default.
    expect(await lab.bench.get(ReleaseKernels).of(id)).toMatchObject([{ proven: { verdict: 'accepted' }, job: null }]);
    expect(await lab.run()).toBe(false);
  });

  it('is proven with those that are assigned later, and again with all when somebody asks', async () => {
    const { id } = await lab.publish(TUNED, MANIFEST);
    await lab.settle();
    await lab.assign(id, { depth: 2 });
    await lab.settle();
    expect(depths()).toEqual([7, 2]);
    expect(await lab.kernels.prove('kari', id, undefined)).toBe(1);
    await lab.settle();
    expect(depths().sort()).toEqual([2, 2, 7, 7]);
  });

  it('is proven with those of its newest assignments, where there are many', async () => {
    const { id } = await lab.publish(TUNED, MANIFEST);
    for (let depth = 10; depth < 13 + ASSIGNED_SETS_MAX; depth++) await lab.assign(id, { depth });
    await lab.settle();
    const newest = Array.from({ length: ASSIGNED_SETS_MAX }, (_, index) => 13 + index);
    expect(depths().sort((a, b) => a - b)).toEqual([7, ...newest]);
    expect(await lab.run()).toBe(false);
  });

  it('forgets what nobody has assigned or asked about for a day, with its verdicts', async () => {
    const { id } = await lab.publish(TUNED, MANIFEST);
    const [gone] = [await lab.assign(id, { depth: 1 }), await lab.assign(id, { depth: 2 })];
    await lab.settle();
    await withdraw(gone);
    await lab.run();
    expect(await verdicts(id)).toHaveLength(3);
    lab.bench.clock.advance(DAY_MS + 10);
    await lab.run();
    expect((await sets()).map(({ params }) => params)).toEqual([{ depth: 2 }]);
    expect(await verdicts(id)).toHaveLength(2);
    expect(await lab.bench.prisma.labJob.count()).toBe(2);
    // Until it is wanted again.
    await lab.assign(id, { depth: 1 });
    await lab.settle();
    expect(depths().at(-1)).toBe(1);
    expect(await verdicts(id)).toHaveLength(3);
  });

  it('is proven with a few that people ask about in a day', async () => {
    const { id } = await lab.publish(TUNED, MANIFEST);
    const params = lab.bench.get(LabParams);
    const ask = (depth: number, arch = 'arm64') => params.ask(id, arch, `${depth}`.repeat(64), { depth });
    await ask(1);
    expect(await sets()).toEqual([]);
    await lab.settle();
    // What is assigned takes no room from what is asked.
    for (const depth of [20, 21]) await lab.assign(id, { depth });
    await lab.settle();
    lab.machines.proofs.length = 0;
    // What was asked first makes room as long as nobody has proven it.
    for (const depth of [1, 2, 3, 4, 5, 5]) {
      await ask(depth);
      lab.bench.clock.advance(1);
    }
    await ask(6, 'x86_64');
    await lab.settle();
    expect(depths()).toEqual([2, 3, 4, 5]);
    expect(await sets()).toHaveLength(2 + ASKED_SETS_MAX);
    await ask(6);
    expect(await lab.run()).toBe(false);
    lab.bench.clock.advance(DAY_MS + 1);
    await lab.run();
    expect(await sets()).toHaveLength(2);
    await ask(6);
    await lab.settle();
    expect(depths().at(-1)).toBe(6);
  });

  it('does not have a kernel booted again for what was dropped just before it was queued', async () => {
    const { id } = await lab.publish(TUNED, MANIFEST);
    await lab.settle();
    const { id: labKernelId } = await lab.bench.prisma.labKernel.findFirstOrThrow();
    const job = { labKernelId, releaseId: id, globals: 'f'.repeat(64), queuedAt: lab.bench.clock.now() };
    await lab.bench.prisma.labJob.create({ data: job });
    expect(await lab.settle()).toBe(1);
    expect(depths()).toEqual([7]);
  });

  it('is not proven any more with what was dropped while it waited', async () => {
    const { id } = await lab.publish(TUNED, MANIFEST);
    await lab.settle();
    for (const depth of [1, 2]) await lab.assign(id, { depth });
    lab.machines.onProof = async () => void (await lab.bench.prisma.labParams.deleteMany());
    await lab.run();
    lab.machines.onProof = () => undefined;
    expect(depths()).toHaveLength(2);
    await lab.settle();
    expect(depths().sort()).toEqual([1, 2, 7]);
  });
});
