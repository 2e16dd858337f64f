import type { Lab, LabKernel } from '@bpfleet/api';
import { agoText } from '../../output/numbers.js';
import { tableLines } from '../../output/printer.js';
import { safeLines, safeText } from '../../output/terminal-text.js';

const CONSOLE_LINES_MAX = 12;

export function labLines({ items, hosts }: Lab, nowMs: number): string[] {
  if (items.length === 0) return ['The lab has no kernels: bpfleet lab add --suite trixie --arch arm64'];
  const lines = tableLines(items, [
    { title: 'NAME', cell: (kernel) => kernel.name },
    { title: 'KERNEL', cell: (kernel) => kernel.group?.kernelRelease ?? '-' },
    { title: 'ARCH', cell: archText },
    { title: 'JIT', cell: (kernel) => kernel.group?.jit ?? '-' },
    { title: 'STATE', cell: (kernel) => kernel.state },
    { title: 'PROVEN', right: true, cell: progressText },
    { title: 'NOW', cell: (kernel) => kernel.proving ?? '-' },
    { title: 'DEVICES', right: true, cell: (kernel) => String(kernel.devices) },
    { title: 'SEEN', cell: (kernel) => (kernel.seenAt === null ? 'never' : agoText(kernel.seenAt, nowMs)) },
  ]);
  return [...lines, ...items.flatMap(failureLines), ...hostLines(hosts)];
}

/** A line for each kernel that is not as it was; what only says when it was last seen is no change. */
export function changedLines(before: Lab, now: Lab): string[] {
  const known = new Map(before.items.map((kernel) => [kernel.id, kernel]));
  const present = new Set(now.items.map(({ id }) => id));
  const hosts = hostLines(now.hosts).filter((line) => line !== '');
  return [
    ...before.items.filter(({ id }) => !present.has(id)).map(({ name }) => `${safeText(name)}  was removed`),
    ...now.items.flatMap((kernel) => changeOf(known.get(kernel.id), kernel)),
    ...(hostLines(before.hosts).includes(hosts[0] ?? '') ? [] : hosts),
  ];
}

function changeOf(before: LabKernel | undefined, now: LabKernel): string[] {
  const line = stateLine(now);
  const failure = failureLines(now).filter((one) => one !== '');
  const said = before === undefined ? [] : failureLines(before);
  const news = failure.every((one) => said.includes(one)) ? [] : failure;
  return before !== undefined && stateLine(before) === line ? news : [line, ...news];
}

function stateLine(kernel: LabKernel): string {
  const release = kernel.group === null ? '' : ` (${kernel.group.kernelRelease})`;
  const proving = kernel.proving === null ? '' : `, now ${kernel.proving}`;
  return safeText(`${kernel.name}${release}  ${kernel.state}  ${progressText(kernel)} proven${proving}`);
}

/** `arm64/armv7`: 32-bit programs on a 64-bit kernel. */
function archText({ arch, userLand }: LabKernel): string {
  return userLand === arch ? arch : `${arch}/${userLand}`;
}

function progressText({ jobs }: LabKernel): string {
  const all = jobs.waiting + jobs.proving + jobs.done + jobs.failed;
  return `${jobs.done}/${all}${jobs.failed > 0 ? `, ${jobs.failed} failed` : ''}`;
}

export function failureLines({ name, state, reason, console }: LabKernel): string[] {
  if (reason === null) return [];
  const word = state === 'failed' ? 'was given up' : 'did not come up, and is tried again';
  const last = console === null ? [] : safeLines(console).split('\n').slice(-CONSOLE_LINES_MAX);
  return ['', `${safeText(name)} ${word}: ${safeText(reason)}`, ...last.map((line) => `  | ${line}`)];
}

function hostLines(hosts: Lab['hosts']): string[] {
  if (hosts.some(({ machines }) => machines > 0)) return [];
  const why = hosts.find(({ reason }) => reason !== null)?.reason;
  return [
    '',
    `No server boots the lab's kernels: ${safeText(why ?? 'none runs with the role lab (BPFLEET_ROLES=lab)')}.`,
  ];
}
