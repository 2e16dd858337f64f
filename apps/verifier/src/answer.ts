import type { BadRequestReport, VerifierReport } from './report.js';
import { BadRequestError, parseRequest } from './request.js';
import { verify } from './verify.js';

/** What is said to one request. Anything that is thrown is a fault of the verifier, and ends its process. */
export function answerTo(request: string | BadRequestError): VerifierReport | BadRequestReport {
  try {
    if (request instanceof BadRequestError) throw request;
    return verify(parseRequest(request));
  } catch (error) {
    if (error instanceof BadRequestError) return error.report();
    throw error;
  }
}
