import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describeWithVm, recordVmFact } from '@bpfleet/testkit';
import type { RunningVm } from '@bpfleet/vm';
import type { ReleaseOnKernel } from '@bpfleet/api';
import type { Config } from '../../config/config.js';
import { repositoryDir } from '../control/testing/bench.js';
import { KernelVerdicts } from '../kernels/index.js';
import { compileCore } from '../kernels/testing/core-object.js';
import { foreignBtf } from '../kernels/testing/kernel-btf.js';
import { QemuMachines } from './machine/qemu-machines.js';
import { ReleaseKernels } from './release-kernels.js';
import { LabBench } from './testing/lab-bench.js';
import { BAD, BAD_BY_PARAMETER, BAD_PARAMETER, CALLS_BACK, GOOD, HOOKS } from './testing/lab-objects.js';
import { machineContract } from './testing/machine-contract.js';

const LAB_TIMEOUT_MS = 900_000;
const config = { verifierMain: join(repositoryDir, 'apps/verifier/dist/main.js') } as Config;

await describeWithVm('arm64-6.12', 'a machine of the lab', () => {
  const order = { target: 'arm64-6.12', own: undefined, kernelArgs: [], jit: null };
  const object = compileCore(GOOD);
  const [refused, broken] = [compileCore(BAD), Buffer.from('no object')];
  const objects = { good: object, refused, broken, fatal: object, breaking: object };
  const vmOf = (machine: unknown) => (machine as { vm: RunningVm }).vm;
  const crash = (machine: unknown) => {
    const panic = 'echo 1 > /proc/sys/kernel/sysrq; echo c > /proc/sysrq-trigger';
    vmOf(machine)
      .exec(['sh', '-c', panic])
      .catch(() => undefined);
  };
  const serving = ['-f', 'main.js --serve'];
  const verifier = (machine: unknown) => vmOf(machine).output(['pgrep', ...serving]);
  const breakVerifier = async <T>(machine: unknown, prove: () => Promise<T>): Promise<T> => {
    // It must not have answered before the signal gets there.
    await vmOf(machine).output(['pkill', '-STOP', ...serving]);
    const proof = prove();
    proof.catch(() => undefined);
    for (const signal of ['-SEGV', '-CONT']) await vmOf(machine).output(['pkill', signal, ...serving]);
    return proof;
  };
  machineContract(() => ({ machines: new QemuMachines(config), order, objects, crash, verifier, breakVerifier }));
});

interface UnpackedKernel {
  readonly image: Buffer;
  readonly config: Buffer;
  readonly modules: readonly { readonly name: string; readonly bytes: Buffer }[];
}

/** Debian's, whose drivers are modules, as `bpfleet lab add --kernel-package` takes them out of its package. */
function debianKernel(series: string): UnpackedKernel {
  const kernels = join(repositoryDir, '.cache/kernels');
  for (const digest of readdirSync(kernels)) {
    for (const name of readdirSync(join(kernels, digest)).filter((one) => one.startsWith('unpacked-'))) {
      const read = (file: string) => readFileSync(join(kernels, digest, name, file));
      const config = read('config').toString('latin1');
      if (!config.includes('CONFIG_ARM64=y') || !config.includes(`Linux/arm64 ${series}.`)) continue;
      const { modules } = JSON.parse(read('manifest.json').toString('utf8')) as { modules: string[] };
      return {
        image: read('vmlinuz'),
        config: read('config'),
        modules: modules.map((file) => ({ name: file.replace(/\.ko$/, ''), bytes: read(`modules/${file}`) })),
      };
    }
  }
  throw new Error(`no arm64 kernel ${series} was unpacked`);
}

let lab: LabBench<QemuMachines>;
let releases: { good: string; callsBack: string; bad: string };

beforeAll(async () => {
  lab = await LabBench.start(new QemuMachines(config));
  const [good, callsBack, bad] = [await lab.publish(GOOD), await lab.publish(CALLS_BACK), await lab.publish(BAD)];
  releases = { good: good.id, callsBack: callsBack.id, bad: bad.id };
});
afterAll(() => lab?.stop());

async function on(kernel: string, releaseId: string): Promise<ReleaseOnKernel['proven']> {
  const groups = await lab.bench.get(ReleaseKernels).of(releaseId);
  return groups.find(({ lab: names }) => names.includes(kernel))?.proven ?? null;
}

const labKernel = (name: string) =>
  lab.bench.prisma.labKernel.findUniqueOrThrow({ where: { name }, include: { kernelGroup: true } });

await describeWithVm('arm64-6.12', 'proves', () => {
  it(
    'what is published, with the command line and the types of that kernel, and the parameters of an assignment',
    async () => {
      const { id: hooks } = await lab.publish(HOOKS);
      const { id: tuned } = await lab.publish(BAD_BY_PARAMETER, BAD_PARAMETER);
      await lab.assign(tuned, { far: 1 });
      const kernelArgs = ['lsm=lockdown,yama,bpf'];
      await lab.kernels.add('kari', { name: 'new', suite: 'trixie', arch: 'arm64', kernelArgs, jit: 1 });
      expect(await lab.settle(3)).toBe(1);
      const { kernelGroup, ...kernel } = await labKernel('new');
      expect([kernel.state, kernel.reason]).toEqual(['ready', null]);
      expect(kernelGroup).toMatchObject({ kernelArch: 'arm64', userBits: 64, jit: 'on', pageBytes: 4096 });
      expect(kernelGroup?.lsm).toEqual(expect.arrayContaining(['bpf', 'yama']));
      expect(
        await lab.bench.prisma.kernelBtf.findUnique({ where: { digest: kernelGroup?.btfDigest ?? '' } }),
      ).toMatchObject({ source: 'admin', pointerBits: 64 });
      const good = await on('new', releases.good);
      expect(good).toMatchObject({ verdict: 'accepted', programs: [{ name: 'p', verdict: 'accepted' }] });
      expect(good?.instructions).toBeGreaterThan(5);
      expect(good?.jitedBytes).toBeGreaterThan(0);
      expect(await on('new', releases.callsBack)).toMatchObject({ verdict: 'accepted' });
      expect(await on('new', releases.bad)).toMatchObject({
        verdict: 'refused',
        reasons: [{ kind: 'context_access', program: 'p' }],
        programs: [{ log: expect.stringMatching(/invalid bpf_context access/) }],
      });
      expect(await on('new', hooks)).toMatchObject({
        verdict: 'unknown',
        programs: [
          { name: 'there', verdict: 'accepted' },
          { name: 'freed', verdict: 'unsupported', log: expect.stringMatching(/start_kernel, which is closed to/) },
          { name: 'forbidden', verdict: 'unsupported', log: expect.stringMatching(/closed to tracing/) },
          { name: 'nothing', verdict: 'unsupported', log: expect.stringMatching(/no traceable function/) },
          { name: 'of_the_vm', verdict: 'unsupported', log: expect.stringMatching(/only in its module ext4/) },
          { name: 'of_a_module', verdict: 'unsupported', log: expect.stringMatching(/BTF type ID of 'xfs_file_open'/) },
        ],
      });
      const byParameters = (await lab.bench.get(KernelVerdicts).newestOf(tuned))
        .filter(({ stage }) => stage === 'prove')
        .map(({ globals, verdict, reasons }) => [globals === '', verdict, reasons.map(({ kind }) => kind).join()]);
      expect(byParameters.sort()).toEqual([
        [false, 'refused', 'context_access'],
        [true, 'accepted', ''],
      ]);
      recordVmFact('arm64-6.12', 'lab', `5 releases, boot ${((kernel.bootMs ?? 0) / 1000).toFixed(1)} s`);
    },
    LAB_TIMEOUT_MS,
  );

  it(
    'on a kernel of somebody’s own whose drivers are modules, with its command line and its JIT off',
    async () => {
      const own = debianKernel('6.12');
      const add = (kind: 'image' | 'config' | 'module', bytes: Buffer) => lab.files.add('kari', kind, 'arm64', bytes);
      const modules = [];
      for (const { name, bytes } of own.modules) modules.push({ name, digest: await add('module', bytes) });
      const [image, config] = [await add('image', own.image), await add('config', own.config)];
      const kernelArgs = ['lsm=yama', 'board.id=7'];
      await lab.kernels.add('kari', { name: 'board', arch: 'arm64', image, config, modules, kernelArgs, jit: 0 });
      await lab.settle(3);
      const { kernelGroup, ...kernel } = await labKernel('board');
      expect([kernel.state, kernel.reason]).toEqual(['ready', null]);
      expect(kernelGroup).toMatchObject({ kernelArch: 'arm64', jit: 'off' });
      expect(kernelGroup?.lsm).toContain('yama');
      expect(kernelGroup?.lsm).not.toContain('bpf');
      expect(await on('board', releases.good)).toMatchObject({ verdict: 'accepted', jitedBytes: 0 });
      expect(await on('board', releases.callsBack)).toMatchObject({ reasons: [{ kind: 'callback_needs_jit' }] });
      expect(await on('board', releases.bad)).toMatchObject({ verdict: 'refused' });
    },
    LAB_TIMEOUT_MS,
  );

  it(
    'as devices whose JIT hardens what it makes, where the command line says so',
    async () => {
      const kernelArgs = ['sysctl.net.core.bpf_jit_harden=1'];
      await lab.kernels.add('kari', { name: 'hard', suite: 'trixie', arch: 'arm64', kernelArgs, jit: 1 });
      await lab.settle(3);
      expect((await labKernel('hard')).kernelGroup).toMatchObject({ kernelArch: 'arm64', jit: 'hardened' });
      expect(await on('hard', releases.good)).toMatchObject({ verdict: 'accepted' });
    },
    LAB_TIMEOUT_MS,
  );
});

await describeWithVm('armv7-6.1', 'proves', () => {
  it(
    'for 32 bit without types and without a JIT: by a tailored BTF, and refuses what calls back',
    async () => {
      const btf = await lab.files.add('kari', 'btf', 'armv7', foreignBtf('armhf-6.1'));
      await lab.kernels.add('kari', { name: 'old', suite: 'bookworm', arch: 'armv7', btf, kernelArgs: [], jit: 0 });
      expect(await lab.settle(3)).toBe(1);
      const { kernelGroup, ...kernel } = await labKernel('old');
      expect([kernel.state, kernel.reason]).toEqual(['ready', null]);
      expect(kernelGroup).toMatchObject({ kernelArch: 'arm', userBits: 32, jit: 'off', btfDigest: null });
      expect(await on('old', releases.good)).toMatchObject({ verdict: 'accepted', jitedBytes: 0 });
      expect(await lab.bench.prisma.btfAddendum.count({ where: { releaseId: releases.good } })).toBe(1);
      expect(await on('old', releases.callsBack)).toMatchObject({
        verdict: 'refused',
        reasons: [{ kind: 'callback_needs_jit', program: 'p' }],
        programs: [{ log: expect.stringMatching(/callbacks are not allowed in non-JITed programs/) }],
      });
      expect(await on('old', releases.bad)).toMatchObject({ verdict: 'refused' });
      recordVmFact('armv7-6.1', 'lab', `3 releases, boot ${((kernel.bootMs ?? 0) / 1000).toFixed(1)} s`);
    },
    LAB_TIMEOUT_MS,
  );
});
