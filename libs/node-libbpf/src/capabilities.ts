import { accessSync, constants, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { kernelMachine } from './kernel-machine.js';

/** The capabilities that the kernel asks for in what this library does (capabilities(7)). */
const capabilityBits = {
  CAP_DAC_READ_SEARCH: 2,
  CAP_NET_ADMIN: 12,
  CAP_SYS_PTRACE: 19,
  CAP_SYS_ADMIN: 21,
  CAP_SYS_RESOURCE: 24,
  CAP_SYSLOG: 34,
  CAP_PERFMON: 38,
  CAP_BPF: 39,
} as const;

export type CapabilityName = keyof typeof capabilityBits;

/** What is to be done, as far as it decides which capabilities the kernel asks for. */
export type PrivilegedAction =
  | { does: 'load'; programType: string }
  | { does: 'create_map'; mapType: string }
  | { does: 'load_btf' }
  /** Listing ids and opening by id: programs, maps, links, BTFs. */
  | { does: 'open_by_id' }
  | { does: 'enable_stats' }
  | { does: 'attach'; to: 'tracepoint' | 'kprobe' | 'uprobe' | 'usdt' | 'perf_event' | 'cgroup_skb' | 'clsact' }
  | { does: 'read_kernel_symbols' }
  | { does: 'read_descriptors_of_others' };

/** The facts about this process and kernel that the rule needs; read when asked, so that a test can give its own. */
export interface PrivilegeFacts {
  effective: ReadonlySet<CapabilityName>;
  kernel: readonly [major: number, minor: number];
  /** The kernel's: `x86_64`, `aarch64`, `armv7l`. */
  machine: string;
  /** kernel.unprivileged_bpf_disabled; undefined where it cannot be read. */
  unprivilegedBpfDisabled: number | undefined;
  /** kernel.perf_event_paranoid */
  perfEventParanoid: number | undefined;
  tracefsReadable: boolean;
}

// is_net_admin_prog_type() and is_perfmon_prog_type() of kernel/bpf/syscall.c, the same from 5.8 to 6.18.
const netAdminPrograms = new Set(
  (
    'sched_cls sched_act xdp lwt_in lwt_out lwt_xmit lwt_seg6local sk_skb sk_msg lirc_mode2 flow_dissector cgroup_device ' +
    'cgroup_sock cgroup_sock_addr cgroup_sockopt cgroup_sysctl sock_ops ext netfilter'
  ).split(' '),
);
const perfmonPrograms = new Set(
  'kprobe tracepoint perf_event raw_tracepoint raw_tracepoint_writable tracing lsm struct_ops ext'.split(' '),
);
// map_create() of kernel/bpf/syscall.c; before 6.5 the same checks are in each map's own allocation.
const netAdminMaps = new Set(['sockmap', 'sockhash', 'devmap', 'devmap_hash', 'xskmap']);
const unprivilegedMaps = new Set(
  (
    'array percpu_array prog_array perf_event_array cgroup_array array_of_maps hash percpu_hash hash_of_maps ringbuf ' +
    'user_ringbuf cgroup_storage percpu_cgroup_storage'
  ).split(' '),
);
const unprivilegedPrograms = new Set(['socket_filter', 'cgroup_skb']);

function readNumber(path: string): number | undefined {
  try {
    const value = Number.parseInt(readFileSync(path, 'utf8'), 10);
    return Number.isNaN(value) ? undefined : value;
  } catch {
    return undefined;
  }
}

function isReadable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.X_OK);
    return true;
  } catch (error) {
    // What is not there or not mounted is not a matter of capabilities.
    return !['EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '');
  }
}

function kernelVersion(): [number, number] {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(release()) ?? [];
  return [Number(major ?? 0), Number(minor ?? 0)];
}

/** Whether this process is in the user namespace that the kernel's BPF checks look at: that of the boot. */
function isInInitialUserNamespace(): boolean {
  try {
    const [inside, outside, count] = readFileSync('/proc/self/uid_map', 'utf8').trim().split(/\s+/);
    return inside === '0' && outside === '0' && count === '4294967295';
  } catch {
    // No user namespaces in this kernel.
    return true;
  }
}

/** The effective capabilities of this thread that count for the kernel's BPF checks: none of those of a user namespace. */
export function effectiveCapabilities(): ReadonlySet<CapabilityName> {
  const mask = /^CapEff:\s*([0-9a-f]+)/m.exec(readFileSync('/proc/thread-self/status', 'utf8'))?.[1] ?? '0';
  const bits = isInInitialUserNamespace() ? BigInt(`0x${mask}`) : 0n;
  const names = Object.entries(capabilityBits) as [CapabilityName, number][];
  return new Set(names.filter(([, bit]) => ((bits >> BigInt(bit)) & 1n) === 1n).map(([name]) => name));
}

export function readPrivilegeFacts(): PrivilegeFacts {
  return {
    effective: effectiveCapabilities(),
    kernel: kernelVersion(),
    machine: kernelMachine(),
    unprivilegedBpfDisabled: readNumber('/proc/sys/kernel/unprivileged_bpf_disabled'),
    perfEventParanoid: readNumber('/proc/sys/kernel/perf_event_paranoid'),
    tracefsReadable: isReadable('/sys/kernel/tracing/events') && isReadable('/sys/kernel/debug/tracing/events'),
  };
}

function isAtLeast(kernel: PrivilegeFacts['kernel'], major: number, minor: number): boolean {
  return kernel[0] > major || (kernel[0] === major && kernel[1] >= minor);
}

/** @internal uname's words for the processors of 32 bits that have a BPF JIT. */
export function is32Bit(machine: string): boolean {
  return /^(armv[5-8]|i[3-6]86|mips$|ppc$|riscv32)/.test(machine);
}

function needsOfLoad(programType: string, facts: PrivilegeFacts): CapabilityName[] {
  const needs: CapabilityName[] = [];
  if (!unprivilegedPrograms.has(programType) || facts.unprivilegedBpfDisabled !== 0) needs.push('CAP_BPF');
  if (netAdminPrograms.has(programType)) needs.push('CAP_NET_ADMIN');
  if (perfmonPrograms.has(programType)) needs.push('CAP_PERFMON');
  return needs;
}

function needsOfMap(mapType: string, facts: PrivilegeFacts): CapabilityName[] {
  if (netAdminMaps.has(mapType)) return ['CAP_BPF', 'CAP_NET_ADMIN'];
  return unprivilegedMaps.has(mapType) && facts.unprivilegedBpfDisabled === 0 ? [] : ['CAP_BPF'];
}

function needsOfAttach(to: string, facts: PrivilegeFacts): CapabilityName[] {
  if (to === 'cgroup_skb' || to === 'clsact') return ['CAP_NET_ADMIN'];
  // perf_uprobe_event_init() wants more than PERFMON: c9e0924e5c2b opened it and was taken back, also in stable kernels (6.1 and
  // later; Debian's 5.10 is still open).
  if (to === 'uprobe') return ['CAP_SYS_ADMIN'];
  // libbpf takes uprobe_multi for a USDT where the kernel has it, and its permission is that of the program.
  if (to === 'usdt') return isAtLeast(facts.kernel, 6, 6) && !is32Bit(facts.machine) ? [] : ['CAP_SYS_ADMIN'];
  const needs: CapabilityName[] = [];
  // libbpf reads the tracepoint's number from tracefs, which belongs to root.
  if (to === 'tracepoint' && !facts.tracefsReadable) needs.push('CAP_DAC_READ_SEARCH');
  const paranoid = facts.perfEventParanoid ?? 2;
  // Debian and Ubuntu know a level 3 and above, at which only CAP_SYS_ADMIN may open perf events.
  if (paranoid >= 3) needs.push('CAP_SYS_ADMIN');
  else if (to === 'kprobe' || paranoid > -1) needs.push('CAP_PERFMON');
  return needs;
}

/**
 * Every capability that the kernel's source asks for in an action, held or not. CAP_SYS_ADMIN stands in for CAP_BPF,
 * CAP_PERFMON and CAP_NET_ADMIN in these checks, and is the only one there is below 5.8 (kernel commit a17b53c4a4b5).
 */
export function neededCapabilities(action: PrivilegedAction, facts = readPrivilegeFacts()): CapabilityName[] {
  const hasCapBpf = isAtLeast(facts.kernel, 5, 8);
  switch (action.does) {
    case 'load':
      return hasCapBpf ? needsOfLoad(action.programType, facts) : ['CAP_SYS_ADMIN'];
    case 'create_map':
      return hasCapBpf ? needsOfMap(action.mapType, facts) : ['CAP_SYS_ADMIN'];
    case 'load_btf':
      return [hasCapBpf ? 'CAP_BPF' : 'CAP_SYS_ADMIN'];
    case 'open_by_id':
    case 'enable_stats':
      return ['CAP_SYS_ADMIN'];
    case 'attach':
      return needsOfAttach(action.to, facts).map((name) =>
        name === 'CAP_PERFMON' && !hasCapBpf ? 'CAP_SYS_ADMIN' : name,
      );
    case 'read_kernel_symbols':
      return ['CAP_SYSLOG'];
    case 'read_descriptors_of_others':
      return ['CAP_SYS_PTRACE'];
  }
}

const sysAdminStandsIn = new Set<CapabilityName>(['CAP_BPF', 'CAP_PERFMON', 'CAP_NET_ADMIN']);

/**
 * Those of them that this thread does not have: what an EPERM or EACCES of the action is about. Empty when it has all of
 * them, and then the refusal has another reason (an LSM, lockdown, a seccomp filter, a file's mode).
 */
export function missingCapabilities(action: PrivilegedAction, facts = readPrivilegeFacts()): CapabilityName[] {
  const { effective, kernel } = facts;
  const missing = neededCapabilities(action, facts).filter(
    (name) => !effective.has(name) && !(sysAdminStandsIn.has(name) && effective.has('CAP_SYS_ADMIN')),
  );
  if (missing.length > 0 || effective.has('CAP_SYS_RESOURCE')) return missing;
  // BPF memory counted against RLIMIT_MEMLOCK before 5.11, and the refusal was EPERM as well (kernel commit 97306be45fbe).
  const chargesMemlock = !isAtLeast(kernel, 5, 11);
  return chargesMemlock && (action.does === 'create_map' || action.does === 'load') ? ['CAP_SYS_RESOURCE'] : [];
}
