import { globalImages, resolveParams, type BpfObjectFile, type ParamValue, type ProbeManifest } from '@bpfleet/probe';
import { digestOf } from '@bpfleet/trust';

/** Of the default parameters, with which everything is proven. */
export const DEFAULT_GLOBALS = '';

/**
 * Names what parameters make of an object's data. A verifier takes that for constants, so that what it says is about this and not
 * about how the parameters were written: one that the object does not hold, or that is its default, makes no difference.
 * @throws ParamError when a value does not fit its variable
 */
export function globalsDigest(
  object: BpfObjectFile,
  manifest: ProbeManifest,
  params: Readonly<Record<string, ParamValue>>,
): string {
  const digest = imagesDigest(object, manifest, params);
  return digest === imagesDigest(object, manifest, {}) ? DEFAULT_GLOBALS : digest;
}

function imagesDigest(
  object: BpfObjectFile,
  manifest: ProbeManifest,
  params: Readonly<Record<string, ParamValue>>,
): string {
  const images = [...globalImages(object, manifest, resolveParams(manifest, params))];
  const named = images.map(([name, image]): [string, string] => [name, Buffer.from(image).toString('base64')]);
  return digestOf(Buffer.from(JSON.stringify(named.sort(([a], [b]) => (a < b ? -1 : 1)))));
}
