import type { BadRequestReport } from './report.js';

export const requestBytesMax = 32 * 1024 * 1024;
const logBytesMin = 1024;
const logBytesMax = 256 * 1024;

export interface VerifierRequest {
  object: Buffer;
  /** Types to relocate by instead of the kernel's own. */
  btf: Buffer | undefined;
  /** Whole initial values by map name. */
  globals: ReadonlyMap<string, Buffer>;
  /** Whether to load, by program name. */
  autoload: ReadonlyMap<string, boolean>;
  logBytesMax: number;
}

/** A request that cannot have a verdict. */
export class BadRequestError extends Error {
  override readonly name = 'BadRequestError';
  readonly code: BadRequestReport['error']['code'];

  constructor(code: BadRequestReport['error']['code'], message: string) {
    super(message);
    this.code = code;
  }

  report(): BadRequestReport {
    return { error: { code: this.code, message: this.message } };
  }
}

/** Collects the request; throws BadRequestError as soon as it is too large. */
export async function readRequest(input: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of input) {
    bytes += chunk.length;
    if (bytes > requestBytesMax) {
      throw new BadRequestError('REQUEST_TOO_LARGE', `the request has more than ${requestBytesMax} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Parses and checks the JSON of report.ts. Throws BadRequestError. */
export function parseRequest(text: string): VerifierRequest {
  const request = requireObject('the request', parseJson(text));
  const known = ['objectBase64', 'globals', 'btfBase64', 'programs', 'logBytesMax'];
  const unknown = Object.keys(request).filter((key) => !known.includes(key));
  if (unknown.length > 0) throw invalid(`unknown member ${unknown.join(', ')}; there are ${known.join(', ')}`);
  const globals = new Map<string, Buffer>();
  for (const [map, value] of Object.entries(requireObject('globals', request.globals ?? {}))) {
    globals.set(map, requireBase64(`globals of ${map}`, value));
  }
  const autoload = new Map<string, boolean>();
  for (const [program, value] of Object.entries(requireObject('programs', request.programs ?? {}))) {
    const override = requireObject(`programs.${program}`, value);
    if (typeof override.autoload !== 'boolean') throw invalid(`programs.${program}.autoload must be a boolean`);
    autoload.set(program, override.autoload);
  }
  const object = requireBase64('objectBase64', request.objectBase64);
  const btf = request.btfBase64 === undefined ? undefined : requireBase64('btfBase64', request.btfBase64);
  return { object, globals, btf, autoload, logBytesMax: requireLogBytes(request.logBytesMax ?? logBytesMax) };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw invalid(`not JSON: ${(error as Error).message}`);
  }
}

function requireObject(what: string, value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid(`${what} must be an object`);
  return value as Record<string, unknown>;
}

function requireBase64(what: string, value: unknown): Buffer {
  if (typeof value !== 'string' || value.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(value)) {
    throw invalid(`${what} must be standard base64`);
  }
  return Buffer.from(value, 'base64');
}

function requireLogBytes(value: unknown): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < logBytesMin || value > logBytesMax) {
    throw invalid(`logBytesMax must be an integer from ${logBytesMin} to ${logBytesMax}`);
  }
  return value;
}

function invalid(message: string): BadRequestError {
  return new BadRequestError('REQUEST_INVALID', message);
}
