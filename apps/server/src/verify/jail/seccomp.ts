/** Architectures whose system calls the filter knows by number. */
export type SeccompArch = 'x86_64' | 'arm64';

// linux/audit.h: the kernel reports the calling convention, so that a number cannot be read in another one's table.
const AUDIT_ARCH: Record<SeccompArch, number> = { x86_64: 0xc000003e, arm64: 0xc00000b7 };

// linux/bpf_common.h and linux/seccomp.h
const LOAD_WORD_ABSOLUTE = 0x20;
const JUMP_IF_EQUAL = 0x15;
const RETURN = 0x06;
const SECCOMP_DATA_NR = 0;
const SECCOMP_DATA_ARCH = 4;
const RETURN_KILL_PROCESS = 0x80000000;
const RETURN_ALLOW = 0x7fff0000;
const RETURN_ERRNO = 0x00050000;
const EPERM = 1;

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

function instruction(code: number, jumpTrue: number, jumpFalse: number, k: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt16LE(code, 0);
  bytes.writeUInt8(jumpTrue, 2);
  bytes.writeUInt8(jumpFalse, 3);
  bytes.writeUInt32LE(k >>> 0, 4);
  return bytes;
}

/** The numbers a jail may call on `arch`, ascending. */
export function allowedSyscalls(arch: SeccompArch): number[] {
  const column = arch === 'x86_64' ? 0 : 1;
  return Object.values(ALLOWED)
    .map((numbers) => numbers[column])
    .filter((number) => number !== null)
    .sort((a, b) => a - b);
}

/**
 * A classic BPF program, as `bwrap --seccomp` takes it: system calls of another architecture kill the process, allowed
 * ones pass, all others fail with EPERM. x32's numbers carry bit 30 and so are never equal to one that is allowed.
 */
export function seccompFilter(arch: SeccompArch): Buffer {
  const numbers = allowedSyscalls(arch);
  if (numbers.length > 250) throw new RangeError('the jump to the verdict is one byte: at most 250 system calls');
  return Buffer.concat([
    instruction(LOAD_WORD_ABSOLUTE, 0, 0, SECCOMP_DATA_ARCH),
    instruction(JUMP_IF_EQUAL, 1, 0, AUDIT_ARCH[arch]),
    instruction(RETURN, 0, 0, RETURN_KILL_PROCESS),
    instruction(LOAD_WORD_ABSOLUTE, 0, 0, SECCOMP_DATA_NR),
    ...numbers.map((number, i) => instruction(JUMP_IF_EQUAL, numbers.length - i, 0, number)),
    instruction(RETURN, 0, 0, RETURN_ERRNO | EPERM),
    instruction(RETURN, 0, 0, RETURN_ALLOW),
  ]);
}

/** The filter's name for this machine, or undefined when there is no filter for it. */
export function hostSeccompArch(nodeArch: string = process.arch): SeccompArch | undefined {
  if (nodeArch === 'x64') return 'x86_64';
  return nodeArch === 'arm64' ? 'arm64' : undefined;
}
