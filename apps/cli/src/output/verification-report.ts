import type { Release, Verdict } from '@bpfleet/api';
import { bytesText, countText } from './numbers.js';
import { tableLines } from './printer.js';
import { safeLines, safeText } from './terminal-text.js';

const logLinesMax = 40;

/** What a release is and what kernels said about it. */
export function releaseLines(release: Release, options: { log: boolean }): string[] {
  const objects = release.objects.map((object) => `${object.arch} ${bytesText(object.bytes)}`).join(', ');
  const keys = release.signature.keyids.map((key) => key.slice(0, 16)).join(', ');
  return [
    `${safeText(release.probe)} ${safeText(release.version)}  ${safeText(release.summary)}`,
    `  id         ${safeText(release.id)}`,
    `  digest     ${safeText(release.digest)}`,
    `  signature  ${release.signature.state}${keys ? ` by ${safeText(keys)}` : ''}`,
    `  objects    ${safeText(objects)}; maps ${bytesText(release.mapBytes)}`,
    `  reports    ${safeText(reportsText(release))}`,
    ...release.params.map(
      (param) =>
        `  param      ${safeText(param.name)} = ${safeText(String(param.default))}${param.unit ? ` ${safeText(param.unit)}` : ''}` +
        (param.help ? `  (${safeText(param.help)})` : ''),
    ),
    ...release.warnings.map(
      (finding) => `  ${finding.severity}: ${safeText(finding.message)} [${safeText(finding.rule)}]`,
    ),
    ...release.verdicts.flatMap((verdict) => verdictLines(verdict, options)),
  ];
}

function reportsText(release: Release): string {
  const parts = [
    ...release.metrics.map((metric) => `${metric.name} (${metric.type})`),
    ...release.events.map((event) => `${event.name} (event)`),
    ...release.profiles.map((profile) => `${profile.name} (profile)`),
  ];
  return parts.join(', ') || 'nothing';
}

export function verdictLines(verdict: Verdict, options: { log: boolean }): string[] {
  const { kernel, programs } = verdict;
  const name = kernel ? `${kernel.release} ${kernel.arch}` : 'no kernel';
  const load = verdict.loadMs === null ? '' : `, loaded in ${countText(verdict.loadMs)} ms`;
  const reason = verdict.reason ? `: ${verdict.reason}` : '';
  const number = (value: number | null) => (value === null ? '-' : countText(value));
  const table = tableLines(programs, [
    { title: 'PROGRAM', cell: (program) => program.name },
    { title: 'SECTION', cell: (program) => program.section },
    { title: 'VERDICT', cell: (program) => program.verdict },
    { title: 'INSNS', right: true, cell: (program) => number(program.instructionCount) },
    { title: 'VERIFIED', right: true, cell: (program) => number(program.verifiedInstructions) },
    {
      title: 'STACK',
      right: true,
      cell: (program) => (program.stackDepthBytes === null ? '-' : `${program.stackDepthBytes} B`),
    },
  ]);
  return [
    `${verdict.verdict} on ${safeText(name)}${load}${safeText(reason)}`,
    ...(programs.length > 0 ? table.map((line) => `  ${line}`) : []),
    ...programs.flatMap((program) => [...explanationLines(program), ...logLines(program, options)]),
  ];
}

/** Why a program was refused, where in its source, and what to change. */
export function explanationLines({ name, explanation }: Verdict['programs'][number]): string[] {
  if (!explanation) return [];
  const { sentence, source, advice } = explanation;
  return [
    `  ${safeText(name)}: ${safeText(sentence)}`,
    ...(source ? [`    ${safeText(source.file)}:${source.line}: ${safeText(source.text.trim())}`] : []),
    `    ${safeText(advice)}`,
  ];
}

/** What the verifier wrote: all of it where that was asked for, else the end where it refused the program. */
export function logLines(
  { log, verdict }: Pick<Verdict['programs'][number], 'log' | 'verdict'>,
  options: { log: boolean },
): string[] {
  if (!log || (!options.log && verdict !== 'refused')) return [];
  const all = safeLines(log).trimEnd().split('\n');
  const shown = options.log ? all : all.slice(-logLinesMax);
  return [
    ...(shown.length < all.length
      ? [`    … ${all.length - shown.length} lines of log before these; --log shows all`]
      : []),
    ...shown.map((line) => `    | ${line}`),
  ];
}
