import { SYSCALLS_ARM64 } from './syscalls-arm64.js';
import { SYSCALLS_X86_64 } from './syscalls-x86-64.js';

/** The name of a system call on an architecture as `uname -m` says it; undefined for numbers and machines without one. */
export function syscallName(arch: string, number: number): string | undefined {
  switch (arch) {
    case 'x86_64':
    case 'x64':
    case 'amd64':
      return SYSCALLS_X86_64[number];
    case 'aarch64':
    case 'arm64':
      return SYSCALLS_ARM64[number];
    default:
      return undefined;
  }
}
