import { publishRefusalSchema, type ApiError } from '@bpfleet/api';
import { join } from 'node:path';
import { safeText } from './terminal-text.js';
import { verdictLines } from './verification-report.js';

/** A refused publish the way a compiler says it: `file:line:column: error: message`, the line, and a caret. */
export function refusalLines(error: ApiError, folder: string): string[] {
  const { data } = publishRefusalSchema.safeParse(error.details);
  const at = (file: string) => safeText(join(folder, file));
  const lines = (data?.diagnostics ?? []).flatMap((diagnostic) => [
    `${at(diagnostic.file)}:${diagnostic.line}:${diagnostic.column}: ${safeText(diagnostic.severity)}: ${safeText(diagnostic.message)}`,
    ...(diagnostic.sourceLine === undefined ? [] : sourceLines(diagnostic.sourceLine, diagnostic.column)),
  ]);
  for (const issue of data?.issues ?? [])
    lines.push(`${at('probe.yaml')}: ${safeText(issue.path)}: ${safeText(issue.message)}`);
  for (const finding of data?.findings ?? [])
    lines.push(`${finding.severity}: ${safeText(finding.message)} [${safeText(finding.rule)}]`);
  if (data?.verdict) lines.push(...verdictLines(data.verdict, { log: false }));
  return lines;
}

function sourceLines(source: string, column: number): string[] {
  // Tabs would move the caret: each becomes one space, in both lines.
  const text = safeText(source.replace(/\t/g, ' '));
  return [`  ${text}`, `  ${' '.repeat(Math.max(0, column - 1))}^`];
}
