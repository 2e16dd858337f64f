import type { Verdict } from '@bpfleet/api';
import type { ProgramReport, VerifierReport } from '../prove/verifier-report.js';
import type { ExplainedRefusal } from './explain-report.js';

type ProgramVerdict = Verdict['programs'][number];

const LOG_CHARS_MAX = 64 * 1024;
const NUL = /\u0000/g;

/** What a kernel said of each program, as it is kept and shown: with why, and the end of the log. */
export function programVerdicts(report: VerifierReport, explained: readonly ExplainedRefusal[]): ProgramVerdict[] {
  return report.programs.map((program) => programVerdict(program, explained));
}

function programVerdict(program: ProgramReport, explained: readonly ExplainedRefusal[]): ProgramVerdict {
  const why = explained.find((one) => one.program === program.name);
  return {
    name: program.name,
    section: program.section,
    type: program.type,
    verdict: program.verdict,
    instructionCount: program.instructionCount,
    verifiedInstructions: program.verifiedInstructions ?? null,
    stackDepthBytes: program.stackDepthBytes ?? null,
    errnoName: program.errnoName ?? null,
    explanation: why
      ? { class: why.class, sentence: why.sentence, advice: why.advice, ...(why.source ? { source: why.source } : {}) }
      : null,
    // The end of a log is where the reason stands; Postgres takes no NUL.
    log: program.log?.replace(NUL, '').slice(-LOG_CHARS_MAX) ?? null,
  };
}
