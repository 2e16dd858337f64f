import {
  explainReport,
  programVerdicts,
  reportWord,
  type AskedKernel,
  type VerifierReport,
} from '../../../verify/index.js';
import type { NewKernelVerdict, VerdictReason } from '../../kernels/index.js';

export type LabVerdict = Pick<NewKernelVerdict, 'verdict' | 'reasons' | 'facts'>;

const SENTENCE_CHARS_MAX = 1_000;
const CONSOLE_LINES_MAX = 40;

/** What a kernel of the lab said of an object, as a verdict about all kernels of its group. Pure. */
export function verdictOfReport(report: VerifierReport, object: Buffer, kernel: AskedKernel): LabVerdict {
  const explained = report.verdict === 'accepted' ? [] : explainReport(report, object);
  const reasons = explained.map((one): VerdictReason => {
    const { class: kind, sentence, advice, program } = one;
    const said =
      one.class === 'memory_unavailable' ? `The VM had no memory for it. ${advice}` : `${sentence} ${advice}`;
    return { kind, sentence: said, ...(program === undefined ? {} : { program }) };
  });
  const { loadMs } = report;
  const jited = new Map(report.programs.map(({ name, jitedBytes }) => [name, jitedBytes ?? null]));
  const programs = programVerdicts(report, explained).map((one) => ({
    ...one,
    jitedBytes: jited.get(one.name) ?? null,
  }));
  return { verdict: reportWord(report, explained, kernel), reasons, facts: { loadMs, ...totals(report), programs } };
}

function totals({ programs, maps }: VerifierReport): Record<string, number | null> {
  const loaded = programs.filter(({ verifiedInstructions }) => verifiedInstructions !== undefined);
  if (loaded.length === 0) return { instructions: null, stackDepthBytes: null, jitedBytes: null, mapBytes: null };
  const sum = (numbers: readonly (number | undefined)[]) => numbers.reduce<number>((all, one) => all + (one ?? 0), 0);
  return {
    instructions: sum(loaded.map(({ verifiedInstructions }) => verifiedInstructions)),
    stackDepthBytes: Math.max(0, ...loaded.map(({ stackDepthBytes }) => stackDepthBytes ?? 0)),
    jitedBytes: sum(loaded.map(({ jitedBytes }) => jitedBytes)),
    mapBytes: sum(maps.map(({ bytes }) => bytes)),
  };
}

/** The kernel went down, with nothing else loaded since it had come up. */
export function crashVerdict(panic: string, console: readonly string[]): LabVerdict {
  const sentence = `This kernel crashed while loading it: ${panic}`.slice(0, SENTENCE_CHARS_MAX);
  return refusal('kernel_crash', sentence, { console: console.slice(-CONSOLE_LINES_MAX).join('\n') });
}

export function timeoutVerdict(timeoutMs: number): LabVerdict {
  const sentence = `The kernel's verifier came to no verdict within ${Math.round(timeoutMs / 1000)} s under emulation.`;
  return { verdict: 'unknown', reasons: [{ kind: 'timeout', sentence }], facts: {} };
}

/** Devices of this kernel are not offered it, or could not load it: the kernel was not asked. */
export function refusal(kind: string, sentence: string, facts: LabVerdict['facts'] = {}): LabVerdict {
  return { verdict: 'refused', reasons: [{ kind, sentence: sentence.slice(0, SENTENCE_CHARS_MAX) }], facts };
}
