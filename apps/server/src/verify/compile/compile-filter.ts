import { assembleFilter } from '../jail/classic-bpf.js';
import type { FilterStep, SeccompArch } from '../jail/classic-bpf.js';

/**
 * What reading files, computing and writing to open pipes takes; [x86-64, arm64], null where the architecture has no
 * such call. Absent on purpose: clone, fork and vfork (one process is all a compiler gets), socket, ptrace, mount, bpf,
 * perf_event_open, keyctl, io_uring, userfaultfd and everything newer than this list.
 */
const ALLOWED: Record<string, readonly [number | null, number | null]> = {
  read: [0, 63],
  write: [1, 64],
  open: [2, null],
  close: [3, 57],
  stat: [4, null],
  fstat: [5, 80],
  lstat: [6, null],
  lseek: [8, 62],
  mmap: [9, 222],
  mprotect: [10, 226],
  munmap: [11, 215],
  brk: [12, 214],
  rt_sigaction: [13, 134],
  rt_sigprocmask: [14, 135],
  rt_sigreturn: [15, 139],
  ioctl: [16, 29],
  pread64: [17, 67],
  pwrite64: [18, 68],
  readv: [19, 65],
  writev: [20, 66],
  access: [21, null],
  sched_yield: [24, 124],
  mremap: [25, 216],
  madvise: [28, 233],
  dup: [32, 23],
  getpid: [39, 172],
  execve: [59, 221], // bubblewrap installs the filter before it starts the command
  exit: [60, 93],
  wait4: [61, 260], // bubblewrap's own process 1 waits under the filter too
  uname: [63, 160],
  fcntl: [72, 25],
  getcwd: [79, 17],
  readlink: [89, null],
  gettimeofday: [96, 169],
  getrlimit: [97, 163],
  getrusage: [98, 165],
  sysinfo: [99, 179],
  getuid: [102, 174],
  getgid: [104, 176],
  geteuid: [107, 175],
  getegid: [108, 177],
  sigaltstack: [131, 132],
  arch_prctl: [158, null],
  gettid: [186, 178],
  futex: [202, 98],
  sched_getaffinity: [204, 123],
  getdents64: [217, 61],
  set_tid_address: [218, 96],
  clock_gettime: [228, 113],
  exit_group: [231, 94],
  tgkill: [234, 131],
  openat: [257, 56],
  newfstatat: [262, 79],
  readlinkat: [267, 78],
  faccessat: [269, 48],
  set_robust_list: [273, 99],
  dup3: [292, 24],
  prlimit64: [302, 261],
  getrandom: [318, 278],
  statx: [332, 291],
  rseq: [334, 293],
  faccessat2: [439, 439],
};

/** The numbers the compiler may call on `arch`, ascending. */
export function allowedSyscalls(arch: SeccompArch): number[] {
  const column = arch === 'x86_64' ? 0 : 1;
  return Object.values(ALLOWED)
    .map((numbers) => numbers[column])
    .filter((number) => number !== null)
    .sort((a, b) => a - b);
}

/**
 * Allowed calls pass, all others fail with EPERM. x32's numbers carry bit 30, and so are never equal to one that is allowed.
 */
export function compileFilter(arch: SeccompArch): Buffer {
  const tests = allowedSyscalls(arch).map((value): FilterStep => ({ test: 'equal', value, then: 'allowed' }));
  return assembleFilter(arch, [...tests, { verdict: 'EPERM' }, { label: 'allowed', verdict: 'allow' }]);
}
