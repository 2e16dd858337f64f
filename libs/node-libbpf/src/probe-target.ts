import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { requireInteger, requireText } from './arguments.js';
import { ArmProgram } from './arm-program.js';
import { argumentError, LibbpfError, unsupportedError } from './errors.js';
import type { UserTarget } from './user-file.js';
import { userFile } from './user-file.js';
import { kernelMachine } from './kernel-machine.js';

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

const insteadOfThumb =
  'in which kernels of 32-bit ARM set no uprobes: choose a function in ARM code (gcc -marm), or another hook, such as a tracepoint or a kprobe';

/** Why a kernel of 32-bit ARM is not to be asked; undefined where it may be. */
function whyNotOnArm(program: ArmProgram, { path, function: name, offset, usdt }: UserTarget): string | undefined {
  if (usdt !== undefined) {
    const named = `the USDT ${usdt.provider}:${usdt.name} of ${path}`;
    const code = program.codeOfUsdt(usdt.provider, usdt.name);
    if (code === 'thumb') return `${named} is in Thumb code, ${insteadOfThumb}`;
    if (code !== 'unknown') return undefined;
    return `nothing tells whether ${named} is in ARM code, and a uprobe in Thumb code breaks the program: keep its symbol table, which strip takes away, or choose another hook`;
  }
  if (name !== undefined) {
    if (program.codeOfFunction(name) !== 'thumb') return undefined;
    return `function ${name} of ${path} is Thumb code (its symbol's address is odd), ${insteadOfThumb}`;
  }
  if (offset === undefined || program.codeAtOffset(Number(offset)) !== 'thumb') return undefined;
  return `offset ${offset} of ${path} is in Thumb code, ${insteadOfThumb}`;
}

/** Throws for what is known to be traced by no kernel of that machine; whether the file is a 32-bit ARM program on a kernel of that. */
function checkFile(operation: string, target: UserTarget, kernel: string): boolean {
  if (kernel !== 'aarch64' && !kernel.startsWith('arm')) return false;
  const file = userFile(target.path);
  const fd = file === undefined ? undefined : openedFile(file);
  if (fd === undefined) return false;
  try {
    const program = ArmProgram.read(fd);
    if (program === undefined) return false;
    const why =
      kernel === 'aarch64'
        ? `${target.path} is a 32-bit program, which ARM64 kernels do not trace`
        : whyNotOnArm(program, target);
    if (why !== undefined) throw unsupportedError(operation, why);
    return true;
  } finally {
    closeSync(fd);
  }
}

/** libbpf says better what is wrong with a file that cannot be read. */
function openedFile(file: string): number | undefined {
  try {
    // A path that names a FIFO is not waited for.
    const fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    if (fstatSync(fd).isFile()) return fd;
    closeSync(fd);
  } catch {
    return undefined;
  }
  return undefined;
}

/**
 * @internal Attaches to a program or library, by its section or by what the caller named, after a look at what that is:
 * - Kernels of 32-bit ARM know uprobes in ARM code only. They say EINVAL to an address that is no multiple of 4, such as that of a
 *   Thumb function, which is odd (uprobe_register() from 5.8, arch_uprobe_analyze_insn() in arch/arm/probes/uprobes/core.c before).
 *   At any other they put an ARM breakpoint, into Thumb code too, where it is two other instructions: the program goes astray.
 *   Most of Debian's armhf is Thumb code.
 * - Those of ARM64 let 32-bit programs go by (arch_uprobe_analyze_insn(), to 6.18 at least), and say so only for one that runs
 *   already: of any other nothing would ever be seen.
 */
export function attachToFile<Made>(
  operation: string,
  target: UserTarget,
  attach: () => Made,
  kernel = kernelMachine(),
): Made {
  if (!checkFile(operation, target, kernel)) return attach();
  try {
    return attach();
  } catch (error) {
    if (!(error instanceof LibbpfError) || error.errnoName !== 'EINVAL') throw error;
    const detail = `${target.path} has no instruction there that kernels of 32-bit ARM can trace: Thumb code, no start of an instruction, or one that cannot be stepped over`;
    throw unsupportedError(operation, detail);
  }
}
