import type { Preflight, PreflightAnswer, PreflightGroup } from '@bpfleet/api';
import type { SelectedDevice } from '../devices/index.js';
import type { KernelFacts } from './decide/facts.js';

export interface AnsweredDevice {
  readonly device: SelectedDevice;
  /** Null until it has told. */
  readonly kernel: KernelFacts | null;
  readonly answer: PreflightAnswer;
}

const SAMPLE_MAX = 10;
const GROUPS_MAX = 500;

/** Devices of one kernel group with one answer together, and the sums. Pure. */
export function summary(answered: readonly AnsweredDevice[]): Preflight {
  const groups = new Map<string, PreflightGroup>();
  const totals = { takes: 0, refuses: 0, unknown: 0 };
  let pending = 0;
  for (const { kernel, answer } of answered) {
    totals[answer.verdict]++;
    if (isPending(answer)) pending++;
    const key = JSON.stringify([kernel?.id, answer]);
    const group = groups.get(key) ?? { ...answer, kernel: kernel && kernelView(kernel), devices: 0 };
    groups.set(key, { ...group, devices: group.devices + 1 });
  }
  const sorted = [...groups.values()].sort((a, b) => b.devices - a.devices);
  return {
    devices: answered.length,
    ...totals,
    pending,
    groups: sorted.slice(0, GROUPS_MAX),
    groupsLeftOff: Math.max(0, sorted.length - GROUPS_MAX),
    sample: answered.slice(0, SAMPLE_MAX).map(({ device: { id, name } }) => ({ id, name })),
  };
}

export function isPending({ verdict, resolution }: PreflightAnswer): boolean {
  return verdict === 'unknown' && resolution === 'pending';
}

function kernelView(kernel: KernelFacts): NonNullable<PreflightGroup['kernel']> {
  const { id, kernelRelease, kernelArch, kernelBuildId, userBits, jit, lsm, pageBytes } = kernel;
  return { id: id ?? '', kernelRelease, kernelArch, kernelBuildId, userBits, jit, lsm: [...lsm], pageBytes };
}
