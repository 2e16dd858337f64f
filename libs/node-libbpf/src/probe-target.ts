import { requireInteger, requireText } from './arguments.js';
import { argumentError } from './errors.js';

const functionsMax = 65_536;

export interface KprobeOptions {
  function: string;
  /** Bytes into the function; 0 unless told. */
  offset?: number;
  /** At the function's return (kretprobe). */
  onReturn?: boolean;
}

export interface KprobeMultiOptions {
  /** Names, or one pattern with `*` and `?` over everything that can be traced. */
  functions: string | readonly string[];
  onReturn?: boolean;
}

export interface UprobeOptions {
  /** A program or library; a bare library name such as `libc.so.6` is looked for where the loader would. */
  path: string;
  /** An exported or static function of its symbol table. Without it `offset` is an offset in the file. */
  function?: string;
  /** Bytes into the function, or into the file. */
  offset?: number;
  /** One process; every process unless told. */
  pid?: number;
  /** At the function's return (uretprobe). */
  onReturn?: boolean;
}

export interface UprobeMultiOptions {
  /** As UprobeOptions. */
  path: string;
  /** Names, or one pattern with `*` and `?` over the functions of its symbol table. */
  functions: string | readonly string[];
  /** One process; every process unless told. */
  pid?: number;
  onReturn?: boolean;
}

export interface UsdtOptions {
  path: string;
  provider: string;
  name: string;
  /** One process; every process unless told. */
  pid?: number;
}

function requireOffset(operation: string, offset: number | undefined): bigint {
  return BigInt(requireInteger(operation, 'offset', offset ?? 0, 0, Number.MAX_SAFE_INTEGER));
}

// libbpf's number for every process.
function requirePid(operation: string, pid: number | undefined): number {
  return pid === undefined ? -1 : requireInteger(operation, 'pid', pid, 1, 0x7fff_ffff);
}

export function requireKprobe(operation: string, options: KprobeOptions) {
  return {
    name: requireText(operation, 'function', options.function),
    offset: requireOffset(operation, options.offset),
    onReturn: options.onReturn === true,
  };
}

function requireFunctions(operation: string, functions: string | readonly string[]): string | string[] {
  if (typeof functions === 'string') return requireText(operation, 'functions', functions);
  if (!Array.isArray(functions) || functions.length === 0 || functions.length > functionsMax) {
    throw argumentError(operation, `functions must be a pattern or 1 to ${functionsMax} names`);
  }
  return functions.map((name) => requireText(operation, 'functions', name));
}

export function requireKprobeMulti(operation: string, options: KprobeMultiOptions) {
  return { functions: requireFunctions(operation, options.functions), onReturn: options.onReturn === true };
}

export function requireUprobeMulti(operation: string, options: UprobeMultiOptions) {
  return {
    path: requireText(operation, 'path', options.path),
    functions: requireFunctions(operation, options.functions),
    pid: requirePid(operation, options.pid),
    onReturn: options.onReturn === true,
  };
}

export function requireUprobe(operation: string, options: UprobeOptions) {
  if (options.function === undefined && options.offset === undefined) {
    throw argumentError(operation, 'give a function, an offset, or both');
  }
  return {
    path: requireText(operation, 'path', options.path),
    name: options.function === undefined ? undefined : requireText(operation, 'function', options.function),
    offset: requireOffset(operation, options.offset),
    pid: requirePid(operation, options.pid),
    onReturn: options.onReturn === true,
  };
}

export function requireUsdt(operation: string, options: UsdtOptions) {
  return {
    path: requireText(operation, 'path', options.path),
    provider: requireText(operation, 'provider', options.provider),
    name: requireText(operation, 'name', options.name),
    pid: requirePid(operation, options.pid),
  };
}
