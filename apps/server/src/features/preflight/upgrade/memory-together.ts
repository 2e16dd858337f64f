import type { PreflightAnswer } from '@bpfleet/api';
import { allMapBytesMax } from '@bpfleet/probe';
import type { KernelFacts, OtherRuns } from '../decide/facts.js';
import type { MovedRun } from './upgrade-report.js';

/** What a run comes to by itself on one of the kernels that its device might get. */
export interface JudgedTarget {
  readonly kernel: KernelFacts | null;
  readonly answer: PreflightAnswer;
  /** What its maps take there. */
  readonly mapBytes: number;
  /** The answer beside other runs. */
  beside(others: OtherRuns): PreflightAnswer;
}

export interface JudgedRun extends Pick<MovedRun, 'release' | 'arch'> {
  readonly deviceId: string;
  /** Of its device; 0 where it has not told. */
  readonly memoryBytes: number;
  /** One for each kernel, in the same order for all runs of a device. */
  readonly targets: readonly JudgedTarget[];
}

interface Sum {
  runs: number;
  bytes: number;
}

/**
 * All runs of a device start anew under another kernel, where page size and CPUs decide what their maps take: what fits alone
 * may not fit together. Which of them the agent then leaves out is a matter of their order, so none is refused for it and none is
 * taken. What the kernel refuses anyway takes nothing. Pure.
 */
export function memoryTogether(runs: readonly JudgedRun[]): MovedRun[] {
  const sums = new Map<string, Sum[]>();
  for (const { deviceId, targets } of runs) {
    const mine = sums.get(deviceId) ?? [];
    sums.set(deviceId, mine);
    targets.forEach((target, index) => {
      const sum = (mine[index] ??= { runs: 0, bytes: 0 });
      if (target.answer.verdict === 'refuses') return;
      sum.runs += 1;
      sum.bytes += target.mapBytes;
    });
  }
  return runs.map(({ deviceId, memoryBytes, release, arch, targets }) => ({
    release,
    arch,
    answers: targets.map((target, index) => {
      const { kernel, answer } = target;
      const sum = sums.get(deviceId)?.[index] ?? { runs: 0, bytes: 0 };
      const fits = memoryBytes === 0 || sum.bytes <= allMapBytesMax(memoryBytes);
      if (fits || answer.verdict === 'refuses') return { kernel, answer };
      const others = { runs: sum.runs - 1, bytes: sum.bytes - target.mapBytes, attachedBytes: 0 };
      return { kernel, answer: target.beside(others) };
    }),
  }));
}
