import { ParamError, resolveParams, type ParamValue, type ProbeManifest } from '@bpfleet/probe';
import { DomainError } from '../../../platform/errors.js';

/** Throws PARAM_INVALID (422): a parameter the probe does not have, or a value outside of its bounds. */
export function checkParams(manifest: ProbeManifest, params: Readonly<Record<string, ParamValue>>): void {
  try {
    resolveParams(manifest, params);
  } catch (error) {
    if (!(error instanceof ParamError)) throw error;
    throw new DomainError(422, error.code, error.message, { param: error.param });
  }
}
