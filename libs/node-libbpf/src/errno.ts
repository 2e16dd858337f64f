import { constants } from 'node:os';
import { native } from './native.js';

// Numbers that Node does not name: what openPinned says of a pin of another kind, the kernel's internal ENOTSUPP, which BPF lets escape, and libbpf's own (bpf/libbpf.h).
const beyondErrno: Record<number, string> = {
  124: 'EMEDIUMTYPE',
  524: 'ENOTSUPP',
  4000: 'LIBBPF_LIBELF',
  4001: 'LIBBPF_FORMAT',
  4002: 'LIBBPF_KVERSION',
  4003: 'LIBBPF_ENDIAN',
  4004: 'LIBBPF_INTERNAL',
  4005: 'LIBBPF_RELOC',
  4006: 'LIBBPF_LOAD',
  4007: 'LIBBPF_VERIFY',
  4008: 'LIBBPF_PROG2BIG',
  4009: 'LIBBPF_KVER',
  4010: 'LIBBPF_PROGTYPE',
  4011: 'LIBBPF_WRNGPID',
  4012: 'LIBBPF_INVSEQ',
  4013: 'LIBBPF_NLPARSE',
};

const names = new Map<number, string>(Object.entries(constants.errno).map(([name, value]) => [value, name]));
// Two names for one number on Linux: these are the ones that the kernel's BPF code uses.
for (const name of ['EAGAIN', 'EOPNOTSUPP'] as const) names.set(constants.errno[name], name);
for (const [value, name] of Object.entries(beyondErrno)) names.set(Number(value), name);

/** The symbolic name of a positive error number, such as `EPERM`; `errno_N` where there is none. */
export function errnoName(errno: number): string {
  return names.get(errno) ?? `errno_${errno}`;
}

/** libbpf's text for a positive error number. */
export function errnoText(errno: number): string {
  return errno === 524 ? 'Not supported by this kernel' : native.errorText(-errno);
}
