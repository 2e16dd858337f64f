import { ParamError } from '../manifest/error.js';
import { listing } from '../manifest/listing.js';
import type { ParamManifest, ProbeManifest } from '../manifest/schema.js';
import type { AttachOptions, ParamValue } from '../types.js';
import { referenceOf } from './references.js';

const TEXT_CHARS_MAX = 256;
/** IFNAMSIZ without its NUL. */
const INTERFACE_NAME = /^(?!\.{1,2}$)[^\s/:\0]{1,15}$/;
const FREQUENCY_HZ_MAX = 10_000;

/**
 * The value of every parameter: what is given, else its default.
 * @throws ParamError for a parameter that is not there, of another type, or out of its bounds
 */
export function resolveParams(
  manifest: ProbeManifest,
  given: Readonly<Record<string, ParamValue>>,
): Record<string, ParamValue> {
  const names = Object.keys(manifest.params);
  for (const name of Object.keys(given)) {
    if (names.includes(name)) continue;
    throw new ParamError(name, `There is no parameter \`${name}\`; ${manifest.name} has ${listing(names)}.`);
  }
  return Object.fromEntries(
    Object.entries(manifest.params).map(([name, param]) => {
      const value = Object.hasOwn(given, name) ? given[name] : undefined;
      return [name, value === undefined ? param.default : checkedValue(name, param, value)];
    }),
  );
}

/** @throws ParamError */
export function checkedValue(name: string, param: ParamManifest, value: ParamValue): ParamValue {
  const type = typeof param.default;
  const refuse = (reason: string): never => {
    throw new ParamError(name, `Parameter \`${name}\` ${reason}; it was ${JSON.stringify(value)}.`);
  };
  if (typeof value !== type) return refuse(`must be a ${type}`);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) return refuse('must be a number');
    // Whole by its default means an integer in the program; a fraction would be refused by every device.
    if (Number.isInteger(param.default) && !Number.isSafeInteger(value)) return refuse('must be a whole number');
    if (param.min !== undefined && value < param.min) return refuse(`must be at least ${param.min}`);
    if (param.max !== undefined && value > param.max) return refuse(`must not be more than ${param.max}`);
  }
  if (typeof value === 'string' && (value.length > TEXT_CHARS_MAX || value.includes('\0'))) {
    return refuse(`must be text of at most ${TEXT_CHARS_MAX} characters without NUL`);
  }
  return value;
}

/**
 * What the manifest adds to the attachment of a program, with `$name` replaced. `params` are those of
 * {@link resolveParams}.
 * @throws ParamError when a value cannot be an interface or a frequency
 */
export function attachOptions(
  manifest: ProbeManifest,
  programName: string,
  params: Readonly<Record<string, ParamValue>>,
): AttachOptions {
  const options = Object.hasOwn(manifest.attach, programName) ? manifest.attach[programName] : undefined;
  if (options === undefined) return {};
  const name = valueOf(options.interface, params);
  const frequencyHz = valueOf(options.frequency_hz, params);
  return {
    ...(name === undefined ? {} : { interface: interfaceName(name, options.interface) }),
    ...(options.mode === undefined ? {} : { mode: options.mode }),
    ...(options.direction === undefined ? {} : { direction: options.direction }),
    ...(frequencyHz === undefined ? {} : { frequencyHz: frequency(frequencyHz, options.frequency_hz) }),
  };
}

function valueOf(value: ParamValue | undefined, params: Readonly<Record<string, ParamValue>>): ParamValue | undefined {
  const reference = referenceOf(value);
  if (reference === undefined) return value;
  const found = Object.hasOwn(params, reference) ? params[reference] : undefined;
  if (found === undefined) throw new ParamError(reference, `There is no parameter \`${reference}\`.`);
  return found;
}

function interfaceName(value: ParamValue, written: unknown): string {
  if (typeof value === 'string' && INTERFACE_NAME.test(value)) return value;
  throw new ParamError(
    referenceOf(written) ?? 'interface',
    `${JSON.stringify(value)} is not the name of a network interface.`,
  );
}

function frequency(value: ParamValue, written: unknown): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= FREQUENCY_HZ_MAX) return value;
  const message = `${JSON.stringify(value)} is not a frequency of 1 to ${FREQUENCY_HZ_MAX} Hz.`;
  throw new ParamError(referenceOf(written) ?? 'frequency_hz', message);
}
