import type { KernelUpgrade, KernelUpgradeRow, PreflightAnswer, PreflightVerdict } from '@bpfleet/api';
import type { CatalogueRelease } from '../../releases/catalogue/index.js';
import type { KernelFacts } from '../decide/facts.js';
import { isPending } from '../summary.js';

/** What one run comes to on each kernel that its device might get. */
export interface MovedRun {
  readonly release: CatalogueRelease;
  readonly arch: string;
  readonly answers: readonly { readonly kernel: KernelFacts | null; readonly answer: PreflightAnswer }[];
}

type TargetView = NonNullable<KernelUpgradeRow['kernel']>;

const ROWS_MAX = 500;
const KERNELS_MAX = 200;
const WORST_FIRST: readonly PreflightVerdict[] = ['refuses', 'unknown', 'takes'];

/** Runs of one release that come to the same on the same kernel together, what breaks first. Pure. */
export function upgradeReport(
  devices: number,
  runs: readonly MovedRun[],
  kernels: readonly KernelFacts[],
): KernelUpgrade {
  const rows = new Map<string, KernelUpgradeRow>();
  const totals = { takes: 0, refuses: 0, unknown: 0 };
  let pending = 0;
  for (const { release, arch, answers } of runs) {
    totals[worst(answers.map(({ answer }) => answer.verdict))]++;
    if (answers.some(({ answer }) => isPending(answer))) pending++;
    for (const { kernel, answer } of answers) {
      const key = JSON.stringify([release.id, arch, kernel, answer]);
      const { id, probe, version } = release;
      const row = rows.get(key) ?? {
        ...answer,
        release: { id, probe, version },
        kernel: kernel && targetView(kernel),
        arch,
        devices: 0,
      };
      rows.set(key, { ...row, devices: row.devices + 1 });
    }
  }
  const sorted = [...rows.values()].sort(worstFirst);
  return {
    devices,
    runs: runs.length,
    ...totals,
    pending,
    kernels: unique(kernels.map(targetView)).slice(0, KERNELS_MAX),
    rows: sorted.slice(0, ROWS_MAX),
    rowsLeftOff: Math.max(0, sorted.length - ROWS_MAX),
  };
}

function worst(verdicts: readonly PreflightVerdict[]): PreflightVerdict {
  return WORST_FIRST.find((verdict) => verdicts.includes(verdict)) ?? 'unknown';
}

function worstFirst(a: KernelUpgradeRow, b: KernelUpgradeRow): number {
  const rank = WORST_FIRST.indexOf(a.verdict) - WORST_FIRST.indexOf(b.verdict);
  return rank || b.devices - a.devices || a.release.probe.localeCompare(b.release.probe);
}

function targetView(kernel: KernelFacts): TargetView {
  const { id, kernelRelease, kernelArch, kernelBuildId, userBits, jit, lsm, pageBytes } = kernel;
  return { id, kernelRelease, kernelArch, kernelBuildId, userBits, jit, lsm: [...lsm], pageBytes };
}

function unique(kernels: readonly TargetView[]): TargetView[] {
  return [...new Map(kernels.map((kernel) => [JSON.stringify(kernel), kernel])).values()];
}
