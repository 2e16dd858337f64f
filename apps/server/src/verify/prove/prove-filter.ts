import { assembleFilter } from '../jail/classic-bpf.js';
import type { FilterStep, SeccompArch } from '../jail/classic-bpf.js';

/**
 * What loading a program never needs, and what someone who took the verifier over would want: [x86-64, arm64]. A new user
 * namespace would hand out every capability again, and perf_event_open is how tracepoints, kprobes and timers are attached.
 */
const DENIED: Record<string, readonly [number, number]> = {
  socket: [41, 198],
  ptrace: [101, 117],
  pivot_root: [155, 41],
  mount: [165, 40],
  umount2: [166, 39],
  init_module: [175, 105],
  kexec_load: [246, 104],
  add_key: [248, 217],
  request_key: [249, 218],
  keyctl: [250, 219],
  unshare: [272, 97],
  perf_event_open: [298, 241],
  setns: [308, 268],
  process_vm_readv: [310, 270],
  process_vm_writev: [311, 271],
  finit_module: [313, 273],
  kexec_file_load: [320, 294],
  userfaultfd: [323, 282],
  io_uring_setup: [425, 425],
  move_mount: [429, 429],
  fsopen: [430, 430],
  mount_setattr: [442, 442],
};

const BPF = { x86_64: 321, arm64: 280 };
const CLONE = { x86_64: 56, arm64: 220 };
const CLONE3 = 435;
const CLONE_NEWUSER = 0x10000000;
const X32_BIT = 0x40000000;

/** Commands of bpf(2) that attach, or leave something behind (enum bpf_cmd). */
const DENIED_COMMANDS = {
  BPF_OBJ_PIN: 6,
  BPF_PROG_ATTACH: 8,
  BPF_PROG_DETACH: 9,
  BPF_RAW_TRACEPOINT_OPEN: 17,
  BPF_LINK_CREATE: 28,
  BPF_LINK_UPDATE: 29,
  BPF_ITER_CREATE: 33,
  BPF_LINK_DETACH: 34,
};

/**
 * "Loads, never attaches" as a rule of the kernel and not only of the verifier's code. clone3 is said not to exist, because
 * its flags lie where a filter cannot look; libc then uses clone.
 */
export function proveFilter(arch: SeccompArch): Buffer {
  const column = arch === 'x86_64' ? 0 : 1;
  const deny = (value: number): FilterStep => ({ test: 'equal', value, then: 'denied' });
  return assembleFilter(arch, [
    ...(arch === 'x86_64' ? [{ test: 'atLeast', value: X32_BIT, then: 'denied' } as const] : []),
    ...Object.values(DENIED).map((numbers) => deny(numbers[column])),
    { test: 'equal', value: CLONE3, then: 'unknown' },
    { test: 'equal', value: BPF[arch], then: 'bpf' },
    { test: 'equal', value: CLONE[arch], then: 'clone' },
    { verdict: 'allow' },
    { label: 'bpf', load: 'argument0' },
    ...Object.values(DENIED_COMMANDS).map(deny),
    { verdict: 'allow' },
    { label: 'clone', load: 'argument0' },
    { test: 'anyBit', value: CLONE_NEWUSER, then: 'denied' },
    { verdict: 'allow' },
    { label: 'denied', verdict: 'EPERM' },
    { label: 'unknown', verdict: 'ENOSYS' },
  ]);
}
