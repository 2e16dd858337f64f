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

const NEWLINE = 0x0a;

/** The whole input as one request, or what is wrong with it, as soon as it is too large. */
export async function readRequest(input: AsyncIterable<Buffer>): Promise<string | BadRequestError> {
  const collected = new Collected();
  for await (const chunk of input) {
    collected.add(chunk);
    if (collected.tooLarge) break;
  }
  return collected.take();
}

/** A request for each line. Of one that is too large nothing is kept, and what is wrong with it comes in its place at its end. */
export async function* readRequests(input: AsyncIterable<Buffer>): AsyncGenerator<string | BadRequestError> {
  const collected = new Collected();
  for await (const chunk of input) {
    let from = 0;
    for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, from)) {
      collected.add(chunk.subarray(from, at));
      from = at + 1;
      yield collected.take();
    }
    collected.add(chunk.subarray(from));
  }
  if (!collected.empty) yield collected.take();
}

/** One request as its pieces come in. */
class Collected {
  #chunks: Buffer[] = [];
  #bytes = 0;

  get empty(): boolean {
    return this.#bytes === 0;
  }

  get tooLarge(): boolean {
    return this.#bytes > requestBytesMax;
  }

  add(chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.tooLarge) this.#chunks = [];
    else this.#chunks.push(chunk);
  }

  /** What there is, and begins anew. */
  take(): string | BadRequestError {
    const request = this.tooLarge
      ? new BadRequestError('REQUEST_TOO_LARGE', `the request has more than ${requestBytesMax} bytes`)
      : Buffer.concat(this.#chunks).toString('utf8');
    this.#chunks = [];
    this.#bytes = 0;
    return request;
  }
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

const FEATURES_CHARS_MAX = 64;

/** The other question, which is about no object. */
export function asksFeatures(text: string): boolean {
  return text.length <= FEATURES_CHARS_MAX && /^\s*\{\s*"features"\s*:\s*true\s*\}\s*$/.test(text);
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
