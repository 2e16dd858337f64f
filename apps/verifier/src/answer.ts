import { probeKernel } from '@bpfleet/node-libbpf';
import type { BadRequestReport, FeaturesReport, VerifierReport } from './report.js';
import { asksFeatures, BadRequestError, parseRequest } from './request.js';
import { verify } from './verify.js';

/** What is said to one request. Anything that is thrown is a fault of the verifier, and ends its process. */
export function answerTo(request: string | BadRequestError): VerifierReport | FeaturesReport | BadRequestReport {
  try {
    if (request instanceof BadRequestError) throw request;
    return asksFeatures(request) ? { kernelCan: kernelCan() } : verify(parseRequest(request));
  } catch (error) {
    if (error instanceof BadRequestError) return error.report();
    throw error;
  }
}

/** Tries what agents try when they start: nothing of it stays in the kernel. */
function kernelCan(): FeaturesReport['kernelCan'] {
  const { programTypes, mapTypes, features } = probeKernel();
  return { programTypes, mapTypes, features };
}
