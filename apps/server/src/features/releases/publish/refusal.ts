import type { PublishRefusal, Verdict } from '@bpfleet/api';
import type { ManifestIssue } from '@bpfleet/probe';
import { DomainError } from '../../../platform/errors.js';
import type { Diagnostic } from '../../../verify/index.js';

export type RefusalCode =
  'MANIFEST_INVALID' | 'COMPILE_FAILED' | 'OBJECT_INVALID' | 'LINT_FAILED' | 'VERIFIER_REFUSED' | 'PACKAGE_INVALID';

const LISTED_MAX = 50;

/** A release that is not made: 422, one sentence, and in `details` everything that is known (libs/api publishRefusalSchema). */
export function refusal(code: RefusalCode, message: string, details: PublishRefusal = {}): DomainError {
  return new DomainError(422, code, message, details);
}

export function manifestRefusal(issues: readonly ManifestIssue[]): DomainError {
  const first = issues[0];
  const where = first?.path ? `${first.path}: ` : '';
  const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : '';
  const message = `probe.yaml: ${where}${first?.message ?? 'it cannot be used'}${more}`;
  return refusal('MANIFEST_INVALID', message, { issues: issues.slice(0, LISTED_MAX).map((issue) => ({ ...issue })) });
}

/** `message` is the compile jail's sentence: the first error with its place, or the limit that was hit. */
export function compileRefusal(message: string, diagnostics: readonly Diagnostic[]): DomainError {
  return refusal('COMPILE_FAILED', `the C does not compile: ${message}`, {
    diagnostics: diagnostics.slice(0, LISTED_MAX).map((one) => ({ ...one })),
  });
}

export function verifierRefusal(verdict: Verdict): DomainError {
  const program = verdict.programs.find((one) => one.verdict === 'refused');
  const source = program?.explanation?.source;
  const where = source ? ` (${source.file}:${source.line})` : '';
  const why = program?.explanation?.sentence ?? verdict.reason ?? 'it gives no reason';
  const what = program ? `program ${program.name}` : 'the object';
  const kernel = verdict.kernel?.release ?? 'this host';
  return refusal('VERIFIER_REFUSED', `the kernel ${kernel} refuses ${what}${where}: ${why}`, { verdict });
}
