import type { VerifierReport } from '../prove/verifier-report.js';
import { explainRefusal } from './explain-refusal.js';
import type { RefusalExplanation } from './explain-refusal.js';

export interface ExplainedRefusal extends RefusalExplanation {
  /** Absent when the object as a whole was refused, such as for one of its maps. */
  program?: string;
}

/** Every refusal in a report, explained; empty when nothing was refused. */
export function explainReport(report: VerifierReport, object: Buffer): ExplainedRefusal[] {
  const refused = report.programs.filter(({ verdict }) => verdict === 'refused' || verdict === 'unsupported');
  const explained = refused.map(({ name, log, errnoName }) => ({
    program: name,
    ...explainRefusal({ program: name, log: log ?? '', errnoName }, object),
  }));
  if (explained.length > 0 || report.verdict === 'accepted') return explained;
  // What stopped the whole stopped each of its programs by itself, with the same number.
  const hadNoMemory = report.programs.some(({ errnoName }) => errnoName === 'ENOMEM');
  const errnoName = hadNoMemory ? 'ENOMEM' : undefined;
  return [explainRefusal({ program: '', log: report.reason ?? '', errnoName }, object)];
}
