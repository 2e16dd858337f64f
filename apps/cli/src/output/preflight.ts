import type { KernelUpgrade, Preflight, PreflightAnswer, PreflightProof, PreflightVerdict } from '@bpfleet/api';
import { archText } from './kernel-text.js';
import { tableLines } from './printer.js';
import { safeText } from './terminal-text.js';

const VERDICTS: Record<PreflightVerdict, string> = { takes: 'takes it', refuses: 'will refuse', unknown: 'unknown' };
const CLOSENESS: Record<PreflightProof['closeness'], string> = {
  same_group: 'this very kernel',
  same_build: 'same build',
  same_series: 'same series',
};

/** Who takes a release, and under it the reasons, one sentence on each line. */
export function preflightLines(preflight: Preflight): string[] {
  const { devices, takes, refuses, unknown, pending, groups, groupsLeftOff, sample } = preflight;
  if (devices === 0) return ['No device matches.'];
  return [
    `${counted(devices, 'device')}: ${takes} will take it, ${refuses} will refuse, ${unknown} unknown${lookedAt(pending)}`,
    ...tableLines(groups, [
      { title: 'KERNEL', cell: ({ kernel }) => kernel?.kernelRelease ?? 'not told' },
      { title: 'ARCH', cell: ({ kernel }) => (kernel ? archText(kernel) : '-') },
      { title: 'JIT', cell: ({ kernel }) => kernel?.jit ?? '-' },
      { title: 'DEVICES', right: true, cell: (group) => String(group.devices) },
      { title: 'VERDICT', cell: ({ verdict }) => VERDICTS[verdict] },
      { title: 'PROVEN BY', cell: proofText },
    ]),
    ...leftOff(groupsLeftOff),
    ...whyLines(groups, ({ kernel }) => (kernel ? `${kernel.kernelRelease} ${archText(kernel)}` : 'not told')),
    `Among them: ${sample.map((device) => safeText(device.name)).join(', ')}`,
  ];
}

export function kernelUpgradeLines(upgrade: KernelUpgrade): string[] {
  const { devices, runs, takes, refuses, unknown, pending, kernels, rows, rowsLeftOff } = upgrade;
  if (devices === 0) return ['No device matches.'];
  const targets = [...new Set(kernels.map((kernel) => `${kernel.kernelRelease} ${archText(kernel)}`))];
  const to = targets.length === 0 ? 'no kernel that is known' : targets.map(safeText).join(', ');
  if (runs === 0) return [`Nothing runs on ${counted(devices, 'device')}, so nothing breaks. To: ${to}`];
  return [
    `${counted(runs, 'run')} on ${counted(devices, 'device')}: ${takes} would go on, ${refuses} would break, ${unknown} unknown${lookedAt(pending)}`,
    `To: ${to}`,
    ...tableLines(rows, [
      { title: 'RELEASE', cell: ({ release }) => `${release.probe}@${release.version}` },
      { title: 'KERNEL', cell: ({ kernel }) => kernel?.kernelRelease ?? 'none known' },
      { title: 'ARCH', cell: ({ kernel, arch }) => (kernel ? archText(kernel) : arch) },
      { title: 'DEVICES', right: true, cell: (row) => String(row.devices) },
      { title: 'VERDICT', cell: ({ verdict }) => VERDICTS[verdict] },
      { title: 'PROVEN BY', cell: proofText },
    ]),
    ...leftOff(rowsLeftOff),
    ...whyLines(rows, ({ release, kernel, arch }) => {
      return `${release.probe}@${release.version} on ${kernel ? `${kernel.kernelRelease} ${archText(kernel)}` : arch}`;
    }),
  ];
}

function whyLines<T extends PreflightAnswer>(answers: readonly T[], nameOf: (answer: T) => string): string[] {
  return answers
    .filter(({ verdict, types }) => verdict !== 'takes' || types === 'awaiting_signature')
    .flatMap((answer) => [
      `${safeText(nameOf(answer))}: ${VERDICTS[answer.verdict]}`,
      ...answer.reasons.map(({ sentence }) => `  ${safeText(sentence)}`),
    ]);
}

function proofText({ proof }: PreflightAnswer): string {
  if (!proof) return '-';
  const where = proof.closeness === 'same_group' ? '' : ` (${proof.kernelRelease})`;
  return `${CLOSENESS[proof.closeness]}${where}`;
}

function lookedAt(pending: number): string {
  return pending > 0 ? ` (${pending} being looked at: ask again)` : '';
}

function leftOff(count: number): string[] {
  return count > 0 ? [`… and ${count} more`] : [];
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
