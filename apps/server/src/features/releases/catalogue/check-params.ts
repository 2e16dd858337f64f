import { ParamError, resolveParams, type ParamValue, type ProbeManifest } from '@bpfleet/probe';
import { DomainError } from '../../../platform/errors.js';

/** Parameters travel in every desired state; together as JSON. */
const PARAMS_BYTES_MAX = 8 * 1024;

/** Throws PARAM_INVALID (422): a parameter the probe does not have, or a value outside of its bounds. */
export function checkParams(manifest: ProbeManifest, params: Readonly<Record<string, ParamValue>>): void {
  const bytes = Buffer.byteLength(JSON.stringify(params));
  if (bytes > PARAMS_BYTES_MAX) {
    throw new DomainError(422, 'PARAM_INVALID', `the parameters take ${bytes} bytes; at most ${PARAMS_BYTES_MAX} fit`);
  }
  try {
    resolveParams(manifest, params);
  } catch (error) {
    if (!(error instanceof ParamError)) throw error;
    throw new DomainError(422, error.code, error.message, { param: error.param });
  }
}
