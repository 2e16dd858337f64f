import { ProveError } from './prove-error.js';
import { badRequestSchema, featuresReportSchema, verifierReportSchema } from './verifier-report.js';
import type { FeaturesReport, VerifierReport } from './verifier-report.js';

const EXIT_BAD_REQUEST = 2;

/** How a verifier's process ended by itself, wherever it ran. */
export interface VerifierEnd {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: Buffer;
}

/** `output` is the end of what it printed beside its answer. Throws ProveError crash, report, or request. */
export function parseVerifierAnswer({ code, signal, stdout }: VerifierEnd, output: string): VerifierReport {
  if (code !== 0 && code !== EXIT_BAD_REQUEST) throw brokeDown({ code, signal }, output);
  const answer = parseJson(stdout);
  return code === 0 ? parseVerdict(answer, output) : refuseRequest(answer, output);
}

/** A line of a verifier that serves. Throws ProveError report, or request. */
export function parseServedAnswer(line: Buffer, output: string): VerifierReport {
  const answer = parseJson(line);
  return badRequestSchema.safeParse(answer).success ? refuseRequest(answer, output) : parseVerdict(answer, output);
}

/** The line with which a verifier that serves tells what its kernel can do. Throws ProveError report. */
export function parseServedFeatures(line: Buffer, output: string): FeaturesReport {
  const { data } = featuresReportSchema.safeParse(parseJson(line));
  if (data === undefined) throw new ProveError("the verifier's list of features is not one", 'report', output);
  return data;
}

/** It ended without an answer. */
export function brokeDown({ code, signal }: Omit<VerifierEnd, 'stdout'>, output: string): ProveError {
  return new ProveError(`the verifier broke down (${signal ?? `exit ${code}`})`, 'crash', output);
}

/** Undefined, which no schema takes, for what is no JSON. */
function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}

function parseVerdict(answer: unknown, output: string): VerifierReport {
  try {
    return verifierReportSchema.parse(answer);
  } catch (error) {
    const message = `the verifier's report is not one: ${(error as Error).message.slice(0, 300)}`;
    throw new ProveError(message, 'report', output);
  }
}

function refuseRequest(answer: unknown, output: string): never {
  // Without a reason the exit code alone has said it.
  const { data } = badRequestSchema.safeParse(answer);
  throw new ProveError(data?.error.message ?? 'the verifier refused its request without a reason', 'request', output);
}
