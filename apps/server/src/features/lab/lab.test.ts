import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { LiveEvent } from '@bpfleet/api';
import { digestOf } from '@bpfleet/trust';
import { describeWithKernel } from '@bpfleet/testkit';
import { LiveBus } from '../../platform/live/live-bus.js';
import { KernelBuilds, KernelVerdicts, type KernelVerdict } from '../kernels/index.js';
import { READS_PID } from '../kernels/testing/core-object.js';
import { foreignBtf } from '../kernels/testing/kernel-btf.js';
import { MachineError } from './machine/lab-machines.js';
import { FAILURES_MAX, LEASE_MS } from './queue/lab-queue.js';
import { FAKE_KERNEL, FakeMachines } from './testing/fake-machines.js';
import { LabBench } from './testing/lab-bench.js';

describeWithKernel('the kernel lab', ['clang'], () => {
  let lab: LabBench<FakeMachines>;
  let machines: FakeMachines;

  beforeAll(async () => {
    const timeouts = { BPFLEET_LAB_BOOT_TIMEOUT_S: '90', BPFLEET_LAB_PROVE_TIMEOUT_S: '45' };
    lab = await LabBench.start(new FakeMachines(), timeouts);
    machines = lab.machines;
  });
  afterAll(() => lab?.stop());
  beforeEach(async () => {
    await lab.clear();
    Object.assign(machines, { runningMax: 0, kernel: FAKE_KERNEL, btf: undefined });
    machines.orders.length = machines.proofs.length = machines.bootFailures.length = 0;
    machines.timeoutsMs.boot.length = machines.timeoutsMs.proof.length = 0;
    machines.onProof = machines.onStart = () => undefined;
  });

  async function verdictsOf(releaseId: string): Promise<KernelVerdict[]> {
    return (await lab.bench.get(KernelVerdicts).newestOf(releaseId)).filter(({ stage }) => stage === 'prove');
  }

  const words = async (releases: readonly { id: string }[]): Promise<string[]> =>
    (await Promise.all(releases.map(({ id }) => verdictsOf(id)))).map((found) => found[0]?.verdict ?? 'none');

  const jobs = () => lab.bench.prisma.labJob.findMany({ orderBy: { id: 'asc' } });
  const kernelRow = () => lab.bench.prisma.labKernel.findFirstOrThrow();
  const bootsOf = (object: Buffer): number[] =>
    machines.proofs.filter((proof) => proof.object === digestOf(object)).map(({ boot }) => boot);

  it('keeps a file that is uploaded again for another day, whatever is uploaded after it', async () => {
    const config = (name: string) => lab.files.add('kari', 'config', 'arm64', Buffer.from(`CONFIG_${name}=y\n`));
    const again = await config('AGAIN');
    const never = await config('NEVER');
    lab.bench.clock.advance(86_400_000 - 60_000);
    expect(await config('AGAIN')).toBe(again);
    lab.bench.clock.advance(120_000);
    await config('NEXT');
    await lab.files.assertThere('config', [again]);
    await expect(lab.files.assertThere('config', [never])).rejects.toMatchObject({ code: 'LAB_FILE_UNKNOWN' });
  });

  describe('a kernel that is added', () => {
    it('is asked what it can do, also where it was measured before anybody asked that', async () => {
      await lab.addKernel('board');
      await lab.settle();
      await lab.bench.prisma.$executeRaw`UPDATE "LabKernel" SET features = NULL, lacks = NULL`;
      const { kernelGroupId } = await kernelRow();
      expect(await lab.settle()).toBe(1);
      expect(await kernelRow()).toMatchObject({ kernelGroupId, ...machines.features });
    });

    it('is measured, and proves in one boot every release that may be offered next', async () => {
      machines.btf = foreignBtf('arm64-6.12');
      const releases = [await lab.publish(), await lab.publish(), await lab.publish()];
      machines.answer(releases[1]?.object as Buffer, 'refuse');
      await lab.addKernel('board');
      expect(await lab.settle()).toBe(1);
      expect([machines.orders.length, machines.running]).toEqual([1, 0]);
      expect(await words(releases)).toEqual(['accepted', 'refused', 'accepted']);
      expect(machines.timeoutsMs).toEqual({ boot: [90_000], proof: [45_000, 45_000, 45_000] });

      const row = await kernelRow();
      expect(row).toMatchObject({ state: 'ready', holder: null, leaseUntil: null, bootMs: 1_234, failures: 0 });
      expect([row.features, row.lacks]).toEqual([machines.features.features, machines.features.lacks]);
      const group = await lab.bench.prisma.kernelGroup.findUnique({ where: { id: row.kernelGroupId ?? '' } });
      expect(group).toMatchObject({ ...FAKE_KERNEL, btfDigest: digestOf(machines.btf) });
      const build = await lab.bench.prisma.kernelBuild.findUnique({ where: { buildId: 'fa'.repeat(20) } });
      expect(build).toMatchObject({ btfDigest: digestOf(machines.btf), addedBy: 'kari', kernelArch: 'arm64' });
      expect(await lab.bench.prisma.kernelBtf.findFirst()).toMatchObject({ source: 'admin' });
    });

    it('is heard of at each step by those who watch', async () => {
      const { id } = await lab.publish();
      const heard: LiveEvent[] = [];
      let last: () => void = () => undefined;
      const ended = new Promise<void>((resolve) => (last = resolve));
      // A VM is claimed, comes up and finds what waits; then the proof is under way, and done; then the VM is given back.
      const steps = ['added', 'claimed', 'booted', 'filled'].map((): string | null => null).concat([id, id, null]);
      const forget = lab.bench.get(LiveBus).subscribe((event) => {
        if (event.type !== 'lab') return;
        if (heard.push(event) === steps.length) last();
      });
      await lab.addKernel('board');
      await lab.settle();
      await ended;
      expect(heard.map((event) => event.type === 'lab' && event.release)).toEqual(steps);
      forget();
    });

    it('leaves with its verdict what it measured, and why it refused', async () => {
      const [good, bad] = [await lab.publish(), await lab.publish()];
      machines.answer(bad.object, 'refuse');
      await lab.addKernel('board');
      await lab.settle();
      const [accepted] = await verdictsOf(good.id);
      expect(accepted?.facts).toMatchObject({
        instructions: 40,
        stackDepthBytes: 16,
        jitedBytes: 200,
        loadMs: 2.5,
        mapBytes: 4096,
        lab: 'board',
      });
      const [refused] = await verdictsOf(bad.id);
      expect(refused?.reasons).toMatchObject([
        { kind: 'callback_needs_jit', program: 'p', sentence: expect.stringMatching(/JIT/) },
      ]);
      expect(refused?.facts).toMatchObject({
        instructions: null,
        programs: [{ log: expect.stringMatching(/bpf_loop/) }],
      });
    });

    it('says without booting on that a release has nothing for its architecture', async () => {
      machines.kernel = { ...FAKE_KERNEL, kernelArch: 'arm', userBits: 32 };
      const { id } = await lab.publish();
      await lab.bench.prisma.release.update({
        where: { id },
        data: { objects: [{ arch: 'arm64', digest: 'e'.repeat(64), bytes: 1 }] },
      });
      await lab.addKernel('board');
      await lab.settle();
      expect((await verdictsOf(id))[0]).toMatchObject({ verdict: 'refused', reasons: [{ kind: 'arch' }] });
      expect(machines.proofs).toEqual([]);
    });

    it('proves what is published later, and again what somebody asks for', async () => {
      await lab.addKernel('board');
      expect(await lab.settle()).toBe(1);
      const { id } = await lab.publish();
      expect(await lab.settle()).toBe(1);
      expect(await lab.settle()).toBe(0);
      expect(await lab.kernels.prove('kari', id, 'board')).toBe(1);
      expect(await lab.settle()).toBe(1);
      expect(machines.proofs).toHaveLength(2);
      await expect(lab.kernels.prove('kari', id, 'nothing')).rejects.toMatchObject({ code: 'LAB_KERNEL_UNKNOWN' });
      await expect(lab.kernels.prove('kari', 'nothing', undefined)).rejects.toMatchObject({ code: 'RELEASE_UNKNOWN' });
    });

    it('proves again what older code had proven, whose word counts no more, and leaves to newer code what that has queued', async () => {
      const [one, other] = [await lab.publish(), await lab.publish()];
      await lab.addKernel('board');
      await lab.settle();
      await lab.bench.prisma.$executeRaw`UPDATE "KernelVerdict" SET version = version - 1`;
      expect(await words([one, other])).toEqual(['none', 'none']);
      await lab.bench.prisma.$executeRaw`UPDATE "LabJob" SET version = version - 1`;
      expect(await lab.settle()).toBe(1);
      expect(await words([one, other])).toEqual(['accepted', 'accepted']);
      await lab.bench.prisma.$executeRaw`UPDATE "LabJob" SET version = version + 1, state = 'waiting'`;
      expect(await lab.settle()).toBe(0);
      expect(machines.proofs).toHaveLength(4);
    });

    it('is another kernel after an update of its package, of which nothing is known yet', async () => {
      const { id } = await lab.publish();
      await lab.addKernel('board');
      await lab.settle();
      machines.kernel = { ...FAKE_KERNEL, kernelRelease: '6.12.2', kernelBuildId: 'fb'.repeat(20) };
      const second = await lab.publish();
      await lab.settle();
      expect(await verdictsOf(id)).toHaveLength(2);
      expect(await verdictsOf(second.id)).toHaveLength(1);
    });
  });

  describe('a kernel that shows no types', () => {
    const arm = { ...FAKE_KERNEL, kernelArch: 'arm' as const, userBits: 32 as const, kernelBuildId: 'fc'.repeat(20) };

    it('loads with a tailored BTF once its types are given, as devices like it do', async () => {
      machines.kernel = arm;
      const { id, object } = await lab.publish(READS_PID);
      await lab.addKernel('board');
      await lab.settle();
      expect(machines.proofs).toMatchObject([{ btf: undefined }]);
      const build = {
        bytes: foreignBtf('armhf-6.1'),
        buildId: arm.kernelBuildId,
        arch: 'arm' as const,
        replace: false,
      };
      await lab.bench.get(KernelBuilds).add('kari', build);
      expect(await lab.settle()).toBe(1);
      const addendum = await lab.bench.prisma.btfAddendum.findFirstOrThrow({ where: { releaseId: id } });
      expect((await verdictsOf(id))[0]?.btfDigest).toBe(digestOf(build.bytes));
      expect(machines.proofs[1]).toMatchObject({ object: digestOf(object), btf: addendum.btfDigest });
    });

    it('takes for its build the types that were given with it', async () => {
      machines.kernel = arm;
      const btf = await lab.files.add('kari', 'btf', 'armv7', foreignBtf('armhf-6.1'));
      await lab.publish(READS_PID);
      await lab.kernels.add('kari', { name: 'board', suite: 'bookworm', arch: 'armv7', btf, kernelArgs: [] });
      await lab.settle();
      expect(machines.proofs).toMatchObject([{ btf: expect.any(String) }]);
    });
  });

  describe('servers that share the lab', () => {
    it('never run one kernel twice, and two kernels at once', async () => {
      await lab.publish();
      await lab.addKernel('first');
      let go: () => void = () => undefined;
      const held = new Promise<void>((resolve) => (go = resolve));
      let proving: () => void = () => undefined;
      const begun = new Promise<void>((resolve) => (proving = resolve));
      machines.onProof = () => (proving(), held);
      const one = lab.run('one');
      await begun;
      expect(await lab.run('two')).toBe(false);
      await lab.addKernel('second');
      const other = lab.run('two');
      await new Promise<void>((resolve) => (machines.onProof = () => resolve()));
      go();
      expect(await Promise.all([one, other])).toEqual([true, true]);
      expect([machines.runningMax, machines.running, machines.orders.length]).toEqual([2, 0, 2]);
    });

    it('take over what a dead one was proving, whose word then counts no more', async () => {
      const { id } = await lab.publish();
      const kernel = await lab.addKernel('board');
      await lab.settle();
      await lab.kernels.prove('kari', id, undefined);
      await lab.queue.claim('dead');
      const job = await lab.queue.next(kernel, 'dead', { shared: false });
      expect(await lab.run('two')).toBe(false);
      lab.bench.clock.advance(LEASE_MS + 1);
      expect(await lab.run('two')).toBe(true);
      expect(await jobs()).toMatchObject([{ state: 'done', attempts: 1 }]);
      expect(await lab.queue.renew(kernel, 'dead')).toBe(false);
      expect(await lab.queue.done(job as NonNullable<typeof job>, kernel, 'dead')).toBe(false);
      expect(await lab.queue.next(kernel, 'dead', { shared: false })).toBeUndefined();
    });

    it('keep a lease that is renewed', async () => {
      await lab.publish();
      const kernel = await lab.addKernel('board');
      await lab.queue.claim('one');
      lab.bench.clock.advance(LEASE_MS - 1);
      expect(await lab.queue.renew(kernel, 'one')).toBe(true);
      lab.bench.clock.advance(LEASE_MS - 1);
      expect(await lab.run('two')).toBe(false);
    });

    it('give up a release that took several of them down', async () => {
      const { id } = await lab.publish();
      const kernel = await lab.addKernel('board');
      await lab.settle();
      await lab.kernels.prove('kari', id, undefined);
      for (let at = 0; at < FAILURES_MAX; at++) {
        await lab.queue.claim(`dead-${at}`);
        await lab.queue.next(kernel, `dead-${at}`, { shared: false });
        lab.bench.clock.advance(LEASE_MS + 1);
      }
      await lab.queue.claim('last');
      expect(await jobs()).toMatchObject([{ state: 'failed', error: expect.stringMatching(/went away/) }]);
    });
  });

  describe('what goes wrong', () => {
    it('a kernel that goes down while it loads one of many: each gets a boot of its own, and only that one is refused', async () => {
      const releases = [await lab.publish(), await lab.publish(), await lab.publish()];
      machines.answer(releases[1]?.object as Buffer, 'crash');
      await lab.addKernel('board');
      expect(await lab.settle()).toBe(4);
      expect(await words(releases)).toEqual(['accepted', 'refused', 'accepted']);
      expect(releases.map(({ object }) => bootsOf(object))).toEqual([[1, 2], [1, 3], [4]]);
      const [crash] = await verdictsOf(releases[1]?.id as string);
      expect(crash).toMatchObject({
        reasons: [
          { kind: 'kernel_crash', sentence: expect.stringMatching(/^This kernel crashed while loading it: .*Oops/) },
        ],
        facts: { console: expect.stringMatching(/Kernel panic/) },
      });
      expect(machines.running).toBe(0);
    });

    it('an object that the verifier does not finish: unknown, after a try by itself', async () => {
      const [slow, good] = [await lab.publish(), await lab.publish()];
      machines.answer(good.object, 'hang');
      await lab.addKernel('board');
      expect(await lab.settle()).toBe(2);
      expect(await words([slow, good])).toEqual(['accepted', 'unknown']);
    });

    it('an object that libbpf cannot open: refused, and the machine goes on', async () => {
      const [odd, good] = [await lab.publish(), await lab.publish()];
      machines.answer(odd.object, 'object');
      await lab.addKernel('board');
      expect(await lab.settle()).toBe(1);
      expect(await words([odd, good])).toEqual(['refused', 'accepted']);
    });

    it('a VM that ends by itself: tried a few times, then given up without a verdict, until somebody asks', async () => {
      const release = await lab.publish();
      machines.answer(release.object, 'lost');
      await lab.addKernel('board');
      expect(await lab.settle()).toBe(FAILURES_MAX);
      expect(await jobs()).toMatchObject([{ state: 'failed', attempts: FAILURES_MAX, error: 'QEMU has ended' }]);
      expect(await words([release])).toEqual(['none']);
      machines.answer(release.object, 'accept');
      expect(await lab.settle()).toBe(0);
      await lab.kernels.prove('kari', release.id, undefined);
      await lab.settle();
      expect(await words([release])).toEqual(['accepted']);
    });

    it('a kernel that does not come up: tried later, then given up with its last words, until somebody asks', async () => {
      const release = await lab.publish();
      await lab.addKernel('board');
      const failure = new MachineError('boot', 'it found no disk', [
        '[0.1] Booting',
        'bpfleet-vm: no disk\u001b\u0000',
      ]);
      machines.bootFailures.push(failure, failure, failure);
      for (let at = 0; at < FAILURES_MAX; at++) {
        expect(await lab.run()).toBe(true);
        expect(await lab.run()).toBe(false);
        lab.bench.clock.advance(600_000);
      }
      expect(await lab.run()).toBe(false);
      expect(await kernelRow()).toMatchObject({
        state: 'failed',
        reason: 'it found no disk',
        console: '[0.1] Booting\nbpfleet-vm: no disk',
      });
      await lab.kernels.prove('kari', release.id, 'board');
      expect(await lab.settle()).toBe(1);
      expect(await kernelRow()).toMatchObject({ state: 'ready', reason: null, console: null });
      expect(await words([release])).toEqual(['accepted']);
    });

    it('an order that no VM can be made of is given up at once', async () => {
      await lab.addKernel('board');
      machines.bootFailures.push(new MachineError('order', 'this kernel does not let net.core.bpf_jit_enable be 0'));
      await lab.run();
      expect(await kernelRow()).toMatchObject({ state: 'failed', failures: 1 });
    });

    it('what nobody foresaw is given up after a few times: an object that is gone, types that nobody can read', async () => {
      const release = await lab.publish();
      await lab.bench.prisma.blob.delete({ where: { digest: digestOf(release.object) } });
      machines.btf = Buffer.from('no BTF');
      await lab.addKernel('board');
      expect(await lab.settle()).toBe(FAILURES_MAX);
      expect(await kernelRow()).toMatchObject({ state: 'ready', failures: 0 });
      expect(await jobs()).toMatchObject([{ state: 'failed', error: expect.stringMatching(/not in the store/) }]);
    });

    it('a server that stops: its VM is gone, and what it was proving waits as if it had not been tried', async () => {
      const release = await lab.publish();
      await lab.addKernel('board');
      const stop = new AbortController();
      machines.onProof = () => stop.abort(new Error('stop'));
      expect(await lab.run('one', stop.signal)).toBe(true);
      expect(machines.running).toBe(0);
      expect(await kernelRow()).toMatchObject({ holder: null, leaseUntil: null, state: 'ready' });
      expect(await jobs()).toMatchObject([{ state: 'waiting', attempts: 0 }]);
      machines.onProof = () => undefined;
      await lab.run('two');
      expect(await words([release])).toEqual(['accepted']);
    });

    it('a kernel that is removed while it proves: nothing of it comes back', async () => {
      await lab.publish();
      await lab.addKernel('board');
      machines.onProof = async () => void (await lab.kernels.remove('kari', 'board'));
      expect(await lab.run()).toBe(true);
      expect([machines.running, await lab.bench.prisma.labKernel.count(), (await jobs()).length]).toEqual([0, 0, 0]);
    });
  });
});
