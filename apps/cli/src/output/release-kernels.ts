import type { ReleaseOnKernel } from '@bpfleet/api';
import { archText } from './kernel-text.js';
import { bytesText, countText } from './numbers.js';
import { tableLines } from './printer.js';
import { safeText } from './terminal-text.js';
import { explanationLines, logLines } from './verification-report.js';

/** What is known of a release on the kernels of the fleet and of the lab, one line each; then why some of them refuse it. */
export function releaseKernelLines(kernels: readonly ReleaseOnKernel[], options: { log: boolean }): string[] {
  if (kernels.length === 0) return [];
  const number = (value: number | null | undefined, text = countText) =>
    value === null || value === undefined ? '-' : text(value);
  const lines = tableLines(kernels, [
    { title: 'KERNEL', cell: ({ group }) => group.kernelRelease },
    { title: 'ARCH', cell: ({ group }) => archText(group) },
    { title: 'JIT', cell: ({ group }) => group.jit ?? '-' },
    { title: 'DEVICES', right: true, cell: ({ devices }) => String(devices) },
    { title: 'BY ITS TYPES', cell: ({ resolved }) => resolved?.verdict ?? '-' },
    { title: 'PROVEN', cell: provenText },
    { title: 'VERIFIED', right: true, cell: ({ proven }) => number(proven?.instructions) },
    { title: 'STACK', right: true, cell: ({ proven }) => number(proven?.stackDepthBytes, bytesText) },
    { title: 'JITED', right: true, cell: ({ proven }) => number(proven?.jitedBytes, bytesText) },
    { title: 'LOAD', right: true, cell: ({ proven }) => number(proven?.loadMs, (ms) => `${countText(ms)} ms`) },
  ]);
  return [
    'on the kernels of the fleet and the lab',
    ...lines.map((line) => `  ${line}`),
    ...kernels.flatMap((one) => whyLines(one, options)),
  ];
}

function provenText({ proven, job, lab }: ReleaseOnKernel): string {
  if (job && job.state !== 'failed') return job.state;
  if (proven) return proven.verdict;
  return job ? 'gave up' : lab.length === 0 ? 'no such kernel in the lab' : '-';
}

function whyLines({ group, resolved, proven, job }: ReleaseOnKernel, options: { log: boolean }): string[] {
  const programs = (proven?.programs ?? []).filter(({ verdict }) => verdict !== 'accepted' && verdict !== 'skipped');
  const explained = new Set(programs.filter(({ explanation }) => explanation).map(({ name }) => name));
  // The reason of an explained program says the same again, without the line of its source.
  const reasons = proven
    ? proven.reasons.filter(({ program }) => program === undefined || !explained.has(program))
    : (resolved?.reasons ?? []);
  const told = [
    ...(job?.error ? [job.error] : []),
    ...reasons.map(({ sentence, program }) => (program ? `${program}: ${sentence}` : sentence)),
  ];
  const lines = [
    ...told.map((line) => `  ${safeText(line)}`),
    ...programs.flatMap((program) => [
      ...explanationLines(program),
      ...(options.log ? logLines(program, options) : []),
    ]),
  ];
  return lines.length === 0 ? [] : [`  ${safeText(group.kernelRelease)}`, ...lines.map((line) => `  ${line}`)];
}
