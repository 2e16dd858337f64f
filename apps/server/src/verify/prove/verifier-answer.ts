import { ProveError } from './prove-error.js';
import { badRequestSchema, verifierReportSchema } from './verifier-report.js';
import type { VerifierReport } from './verifier-report.js';

const EXIT_BAD_REQUEST = 2;

/** How a verifier's process ended by itself, wherever it ran. */
export interface VerifierEnd {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: Buffer;
}

/** `output` is the end of what it printed beside its answer. Throws ProveError crash, report, or request. */
export function parseVerifierAnswer({ code, signal, stdout }: VerifierEnd, output: string): VerifierReport {
  if (code !== 0 && code !== EXIT_BAD_REQUEST) {
    throw new ProveError(`the verifier broke down (${signal ?? `exit ${code}`})`, 'crash', output);
  }
  return code === 0 ? parseVerdict(stdout, output) : refuseRequest(stdout, output);
}

function parseVerdict(stdout: Buffer, output: string): VerifierReport {
  try {
    return verifierReportSchema.parse(JSON.parse(stdout.toString('utf8')));
  } catch (error) {
    const message = `the verifier's report is not one: ${(error as Error).message.slice(0, 300)}`;
    throw new ProveError(message, 'report', output);
  }
}

function refuseRequest(stdout: Buffer, output: string): never {
  let message = 'the verifier refused its request without a reason';
  try {
    message = badRequestSchema.parse(JSON.parse(stdout.toString('utf8'))).error.message;
  } catch {
    // The exit code alone has said it.
  }
  throw new ProveError(message, 'request', output);
}
