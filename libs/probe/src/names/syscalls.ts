import { SYSCALLS_ARM } from './syscalls-arm.js';
import { SYSCALLS_ARM64 } from './syscalls-arm64.js';
import { SYSCALLS_I386 } from './syscalls-i386.js';
import { SYSCALLS_X86_64 } from './syscalls-x86-64.js';

type Names = Readonly<Record<number, string>>;

interface Tables {
  readonly native: Names;
  /** Of the 32-bit programs that a 64-bit kernel runs too. */
  readonly compat?: Names;
}

function tablesOf(arch: string): Tables | undefined {
  switch (arch) {
    case 'x86_64':
    case 'x64':
    case 'amd64':
      return { native: SYSCALLS_X86_64, compat: SYSCALLS_I386 };
    case 'aarch64':
    case 'arm64':
      return { native: SYSCALLS_ARM64, compat: SYSCALLS_ARM };
    case 'arm':
    case 'armv7l':
    case 'armv8l':
      return { native: SYSCALLS_ARM };
    default:
      return undefined;
  }
}

/** The name of a system call on an architecture as `uname -m` says it; undefined for numbers and machines without one. */
export function syscallName(arch: string, number: number): string | undefined {
  return tablesOf(arch)?.native[number];
}

/** The same for the call of a 32-bit program on a 64-bit kernel, whose numbers are those of the 32-bit architecture. */
export function compatSyscallName(arch: string, number: number): string | undefined {
  return tablesOf(arch)?.compat?.[number];
}
