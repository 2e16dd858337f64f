import type { KernelBtf } from '@bpfleet/api';
import { kernelSeries } from '@bpfleet/probe';
import type { Facts } from '@bpfleet/wire';
import type { KernelFacts } from '../decide/facts.js';
import { BPF_LSM } from '../decide/attach-needs.js';
import { askedFactsOf } from '../kernel-facts.js';
import type { AskedKernel } from '../verdict-reader.js';

/** A kernel that devices might get, and as which they would run it. */
export interface Target {
  readonly asked: AskedKernel;
  readonly facts: KernelFacts;
  /** The group whose features it will have; null where nobody has told, or those differ with how the device starts it. */
  readonly featuresOf: string | null;
}

const PAGE_BYTES = 4096;

/** `6.12.73+deb13-arm64` is of the series 6.12. */
export function isOfSeries(release: string, series: string): boolean {
  const found = kernelSeries(release);
  return found !== undefined && `${found.major}.${found.minor}` === series;
}

/** Kernels of which only the types are known: builds that an administrator added, and no device or lab runs. */
export function addedKernels(
  btfs: readonly KernelBtf[],
  series: string,
  groups: readonly AskedKernel[],
): AskedKernel[] {
  const told = new Set(groups.map(({ kernelBuildId }) => kernelBuildId));
  return btfs.flatMap(({ digest, pointerBits, builds }) =>
    builds
      .filter(({ buildId, kernelRelease }) => !told.has(buildId) && isOfSeries(kernelRelease ?? '', series))
      .map(({ buildId, kernelRelease, kernelArch }): AskedKernel => {
        const still = { reason: null, receivedBytes: null, totalBytes: null };
        const btf = { ...still, state: 'added' as const, digest };
        const kernel = { kernelRelease: kernelRelease ?? '', kernelArch, kernelBuildId: buildId };
        return {
          ...kernel,
          id: null,
          userBits: pointerBits,
          jit: null,
          lsm: [],
          pageBytes: PAGE_BYTES,
          devices: 0,
          btf,
        };
      }),
  );
}

/**
 * What a device would run, one of each build: user land and JIT setting are the device's and go with it. Of a build that is
 * known in several groups, the one that is most like the device's.
 */
export function targetsFor(device: Facts, kernels: readonly AskedKernel[]): Target[] {
  const builds = new Map<string, AskedKernel>();
  for (const kernel of kernels.filter(({ kernelArch }) => kernelArch === device.kernelArch)) {
    const { kernelRelease, kernelBuildId, pageBytes, btf } = kernel;
    const key = JSON.stringify([kernelRelease, kernelBuildId, pageBytes, btf.digest]);
    const chosen = builds.get(key);
    if (!chosen || likeness(device, kernel) > likeness(device, chosen)) builds.set(key, kernel);
  }
  return [...builds.values()].map((asked) => moved(device, asked));
}

function moved(device: Facts, asked: AskedKernel): Target {
  const facts = askedFactsOf(asked);
  const jit = device.jit ?? facts.jit;
  const lsm = movedLsm(device, facts.lsm);
  const same = facts.userBits === device.userBits && facts.jit === jit;
  const id = same && lsm === facts.lsm ? facts.id : null;
  return { asked, facts: { ...facts, id, userBits: device.userBits, jit, lsm }, featuresOf: same ? facts.id : null };
}

/**
 * Which security modules there are is the kernel's; whether BPF is among those that are active is mostly its command line's (`lsm=`),
 * which goes with the device.
 */
function movedLsm({ lsm }: Facts, its: readonly string[]): readonly string[] {
  const [has, had] = [lsm.includes(BPF_LSM), its.includes(BPF_LSM)];
  // Who names none could not read them, or nobody has.
  if (its.length === 0) return lsm;
  if (lsm.length === 0 || has === had) return its;
  return has ? [...its, BPF_LSM] : its.filter((one) => one !== BPF_LSM);
}

function likeness(device: Facts, { id, userBits, jit, lsm }: AskedKernel): number {
  const sameLsm = JSON.stringify(lsm) === JSON.stringify(device.lsm);
  return (
    (id === null ? 0 : 8) + (userBits === device.userBits ? 4 : 0) + (jit === device.jit ? 2 : 0) + (sameLsm ? 1 : 0)
  );
}
