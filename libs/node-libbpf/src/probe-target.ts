import { closeSync, openSync, readSync } from 'node:fs';
import { machine } from 'node:os';
import { requireInteger, requireText } from './arguments.js';
import { argumentError, LibbpfError, unsupportedError } from './errors.js';

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

// EM_ARM, at e_machine (elf.h).
const machineOffset = 18;
const machineArm = 40;

function isArmProgram(path: string): boolean {
  try {
    const fd = openSync(path, 'r');
    const header = Buffer.alloc(machineOffset + 2);
    const read = readSync(fd, header, 0, header.length, 0);
    closeSync(fd);
    return read === header.length && header.readUInt16LE(machineOffset) === machineArm;
  } catch {
    return false;
  }
}

/**
 * @internal Attaches to a program or library. Kernels know uprobes in ARM code only and say EINVAL to an address that is none of
 * its instructions, such as that of a Thumb function, which is odd (arch/arm/probes/uprobes/core.c); most of Debian's armhf is
 * Thumb code. Those of ARM64 let 32-bit programs go by (arch_uprobe_analyze_insn(), to 6.18 at least), and say so only for one
 * that runs already: of any other nothing would ever be seen.
 */
export function attachToFile<Made>(operation: string, path: string, attach: () => Made, kernel = machine()): Made {
  if (!isArmProgram(path)) return attach();
  if (kernel === 'aarch64')
    throw unsupportedError(operation, `${path} is a 32-bit program, which ARM64 kernels do not trace`);
  try {
    return attach();
  } catch (error) {
    if (!(error instanceof LibbpfError) || error.errnoName !== 'EINVAL') throw error;
    const detail = `${path} has Thumb code there, or no start of an instruction; uprobes need ARM code (gcc -marm)`;
    throw unsupportedError(operation, detail);
  }
}
