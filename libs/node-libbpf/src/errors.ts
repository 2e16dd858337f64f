import type { CapabilityName, PrivilegedAction } from './capabilities.js';
import { missingCapabilities } from './capabilities.js';
import { errnoName, errnoText } from './errno.js';
import { native } from './native.js';
import type { SourceLine } from './verifier-log.js';
import { parseVerifierLog } from './verifier-log.js';

export type LibbpfErrorCode =
  | 'BPF_ARGUMENT' // the caller's mistake: wrong type, size or name
  | 'BPF_CLOSED' // use after close
  | 'BPF_BTF' // there are no types, or none that can be used
  | 'BPF_OPEN' // the object cannot be parsed
  | 'BPF_LOAD' // the object cannot be loaded, for another reason than a program's refusal
  | 'BPF_VERIFIER' // the kernel refused a program
  | 'BPF_ATTACH'
  | 'BPF_LINK'
  | 'BPF_MAP'
  | 'BPF_PIN'
  | 'BPF_PROGRAM'
  | 'BPF_RING'
  | 'BPF_STATS'
  | 'BPF_UNSUPPORTED' // this kind of object, or this kernel, has no such thing
  | 'BPF_ENUMERATE';

/** Every error of this library. `errno` is positive, or 0 where no system call was made. */
export class LibbpfError extends Error {
  override readonly name: string = 'LibbpfError';
  readonly code: LibbpfErrorCode;
  /** What was tried, with its object: `attach trace_exec`. */
  readonly operation: string;
  readonly errno: number;
  /** `EPERM`, `ENOTSUPP`, `LIBBPF_FORMAT`, …; empty when errno is 0. */
  readonly errnoName: string;
  /**
   * For EPERM and EACCES: the capabilities that the kernel asks for here and this thread does not have. Derived from the
   * kernel's own checks (capabilities.ts), so empty when the refusal must have another reason.
   */
  readonly needs: readonly CapabilityName[];

  constructor(
    code: LibbpfErrorCode,
    operation: string,
    errno: number,
    detail?: string,
    needs: readonly CapabilityName[] = [],
  ) {
    const reason = errno === 0 ? '' : `${errnoName(errno)} (${errnoText(errno)})`;
    const missing = needs.length === 0 ? '' : `[needs ${needs.join(', ')}]`;
    super([`${operation}:`, reason, missing, detail ?? ''].filter((part) => part !== '').join(' '));
    this.code = code;
    this.needs = needs;
    this.operation = operation;
    this.errno = errno;
    this.errnoName = errno === 0 ? '' : errnoName(errno);
  }
}

/** A program that the kernel refused at load. `log` is the verifier's, its end where it is longer than `logBytesMax`. */
export class VerifierError extends LibbpfError {
  override readonly name = 'VerifierError';
  readonly program: string;
  readonly log: string;
  /** What the verifier has against it, in its own words; empty where the log does not say. */
  readonly complaint: string;
  /** The instruction at which it stopped, counted in the program as loaded. */
  readonly instruction: number | undefined;
  /** The line of C that this instruction comes from, for objects that were compiled with -g. */
  readonly source: SourceLine | undefined;

  constructor(program: string, errno: number, log: string, detail: string, needs: readonly CapabilityName[] = []) {
    super('BPF_VERIFIER', `load ${program}`, errno, detail, needs);
    this.program = program;
    this.log = log;
    const refusal = parseVerifierLog(log);
    this.complaint = refusal.complaint;
    this.instruction = refusal.instruction;
    this.source = refusal.source;
  }
}

/** libbpf's own last lines, without its prefix; forgets them. */
export function takeLibbpfLines(): string {
  return native
    .takeLog()
    .replaceAll(/^libbpf: /gm, '')
    .trim();
}

/**
 * Runs one native call and turns -errno into a LibbpfError that carries what libbpf printed meanwhile. Other results pass.
 * With an action, a refusal names the capabilities that are missing for it.
 */
export function succeed<Result>(
  code: LibbpfErrorCode,
  operation: string,
  call: () => Result,
  action?: PrivilegedAction,
): Exclude<Result, number> {
  return attempt(code, operation, call, action) as Exclude<Result, number>;
}

/** Like `succeed`, for native calls whose result is a number: a negative one is -errno. */
export function attempt<Result>(
  code: LibbpfErrorCode,
  operation: string,
  call: () => Result,
  action?: PrivilegedAction,
): Result {
  native.takeLog();
  const result = call();
  if (typeof result === 'number' && result < 0) {
    throw new LibbpfError(code, operation, -result, takeLibbpfLines(), needsOf(-result, action));
  }
  return result;
}

/** What a refusal with this errno lacks for the action; nothing where the errno is about something else. */
export function needsOf(errno: number, action: PrivilegedAction | undefined): readonly CapabilityName[] {
  if (action === undefined || !['EPERM', 'EACCES'].includes(errnoName(errno))) return [];
  return missingCapabilities(action);
}

export function argumentError(operation: string, detail: string): LibbpfError {
  return new LibbpfError('BPF_ARGUMENT', operation, 0, detail);
}

export function closedError(operation: string): LibbpfError {
  return new LibbpfError('BPF_CLOSED', operation, 0, 'used after close');
}

/** For what a kind of object never has, or this kernel has not yet. */
export function unsupportedError(operation: string, detail: string): LibbpfError {
  return new LibbpfError('BPF_UNSUPPORTED', operation, 95, detail);
}
