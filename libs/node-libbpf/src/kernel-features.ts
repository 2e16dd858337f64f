import { existsSync, readFileSync } from 'node:fs';
import { endianness } from 'node:os';
import type { PrivilegedAction, PrivilegeFacts } from './capabilities.js';
import { missingCapabilities } from './capabilities.js';
import { errnoName } from './errno.js';
import type { KernelConfig } from './kernel-config.js';
import { hasConfig } from './kernel-config.js';
import { listKernelBtf } from './kernel-btf.js';
import { native } from './native.js';

/**
 * `unknown` is not `no`: the kernel did not say, mostly because a capability is missing. A plain `no` is also what a policy
 * (lockdown, an LSM, seccomp) refuses to a process that has every capability: it cannot be used.
 */
export type Answer = 'yes' | 'no' | 'unknown';

/** An answer, and for one that is not yes the reason, if there is more to say than that it is missing. */
export interface Found {
  answer: Answer;
  why?: string;
}

/** @internal What a feature's probe may ask. */
export interface ProbeContext {
  privileges: PrivilegeFacts;
  config: KernelConfig;
  /** undefined where neither securityfs nor lsm_list_modules(2) tells. */
  lsms: readonly string[] | undefined;
  /** Whether the kernel's own types have a struct of that name; undefined without BTF. */
  hasType: (name: string) => boolean | undefined;
}

type Probe = (context: ProbeContext) => Found;

const yes: Found = { answer: 'yes' };

/** @internal Reads a refusal: of a capability that is missing it says nothing about the kernel. */
export function refused(errno: number, action: PrivilegedAction, privileges: PrivilegeFacts): Found {
  const name = errnoName(errno);
  if (name !== 'EPERM' && name !== 'EACCES') return { answer: 'no', why: name };
  const missing = missingCapabilities(action, privileges);
  if (missing.length > 0) return { answer: 'unknown', why: `needs ${missing.join(', ')}` };
  return { answer: 'no', why: `${name}, although every capability is there: a policy refuses it` };
}

// struct bpf_insn, in the byte order of this machine.
function instruction(code: number, dst = 0, src = 0, off = 0, imm = 0): Buffer {
  const bytes = Buffer.alloc(8);
  const little = endianness() === 'LE';
  bytes[0] = code;
  bytes[1] = little ? (src << 4) | dst : (dst << 4) | src;
  if (little) {
    bytes.writeInt16LE(off, 2);
    bytes.writeInt32LE(imm, 4);
  } else {
    bytes.writeInt16BE(off, 2);
    bytes.writeInt32BE(imm, 4);
  }
  return bytes;
}

const moveImmediate = (dst: number, imm: number) => instruction(0xb7, dst, 0, 0, imm);
const exit = instruction(0x95);
const returnZero = [moveImmediate(0, 0), exit];
const frame = 10;

// Each needs one thing of the instruction set (Documentation/bpf/standardization/instruction-set.rst).
const programs = {
  /** if r0 < 1 goto next */
  isa_v2: [moveImmediate(0, 0), instruction(0xa5, 0, 0, 0, 1), exit],
  /** if w0 < 1 goto next */
  isa_v3: [moveImmediate(0, 0), instruction(0xa6, 0, 0, 0, 1), exit],
  /** r0 = (s8) r2 */
  isa_v4: [moveImmediate(2, 1), instruction(0xbf, 0, 2, 8), exit],
  /** lock *(u64 *)(r10 - 8) += r1 */
  atomic_add64: [
    moveImmediate(1, 1),
    instruction(0x7b, frame, 1, -8),
    instruction(0xdb, frame, 1, -8, 0),
    moveImmediate(0, 0),
    exit,
  ],
  /** r1 = atomic_fetch_add((u64 *)(r10 - 8), r1) */
  atomic_fetch64: [
    moveImmediate(1, 1),
    instruction(0x7b, frame, 1, -8),
    instruction(0xdb, frame, 1, -8, 1),
    moveImmediate(0, 0),
    exit,
  ],
  /** do r0 += 1 while r0 < 10 */
  bounded_loops: [moveImmediate(0, 0), instruction(0x07, 0, 0, 0, 1), instruction(0xa5, 0, 0, -2, 10), exit],
  function_calls: [instruction(0x85, 0, 1, 0, 1), exit, ...returnZero],
  large_programs: [...Array.from({ length: 4096 }, () => moveImmediate(0, 0)), exit],
} as const;

function loadable(name: keyof typeof programs): Probe {
  return ({ privileges }) => {
    const handle = native.probeLoad('socket_filter', undefined, Buffer.concat(programs[name]), undefined);
    if (typeof handle !== 'number') {
      handle.close();
      return yes;
    }
    return refused(-handle, { does: 'load', programType: 'socket_filter' }, privileges);
  };
}

/** Known commands look at the descriptor, which is none; unknown ones end before. */
function command(name: string): Probe {
  return ({ privileges }) => {
    const errno = -native.probeCommand(name);
    return errnoName(errno) === 'EBADF' ? yes : refused(errno, { does: 'load_btf' }, privileges);
  };
}

interface LinkProbe {
  programType: string;
  attachType: string;
  target: number;
  of?: string;
  /** What a kernel says that has such links and looks at the target, which is none. */
  known: string;
  /** What beside loading the program takes a capability. */
  needs?: PrivilegedAction;
}

function link({ programType, attachType, target, of = '', known, needs }: LinkProbe): Probe {
  return ({ privileges }) => {
    const handle = native.probeLoad(programType, attachType, Buffer.concat(returnZero), undefined);
    const action = { does: 'load', programType } as const;
    if (typeof handle === 'number') return refused(-handle, action, privileges);
    const result = native.probeLink(handle.fd(), target, attachType, of);
    handle.close();
    return result === 0 || errnoName(-result) === known ? yes : refused(-result, needs ?? action, privileges);
  };
}

const noInterface = 0x7fff_ffff;
const noDescriptor = -1;

/** Attaches for a moment to a function that the kernel has for this and calls in test runs only (net/bpf/test_run.c). */
function fentry({ privileges }: ProbeContext): Found {
  const action = { does: 'load', programType: 'tracing' } as const;
  const handle = native.probeLoad('tracing', 'trace_fentry', Buffer.concat(returnZero), 'bpf_fentry_test1');
  if (typeof handle === 'number') return refused(-handle, action, privileges);
  const result = native.probeTracing(handle.fd());
  handle.close();
  return result === 0 ? yes : refused(-result, action, privileges);
}

function stats({ privileges }: ProbeContext): Found {
  const handle = native.enableStats();
  if (typeof handle === 'number') return refused(-handle, { does: 'enable_stats' }, privileges);
  handle.close();
  return yes;
}

function pmu(name: string): Probe {
  return ({ config }) => {
    const folder = '/sys/bus/event_source/devices';
    if (existsSync(folder)) return existsSync(`${folder}/${name}`) ? yes : { answer: 'no' };
    const set = hasConfig(config, name === 'kprobe' ? 'KPROBE_EVENTS' : 'UPROBE_EVENTS');
    return { answer: set === 'module' ? 'yes' : set, why: 'sysfs does not show event sources' };
  };
}

/** For what cannot be tried without doing it: the kernel was built with the code if its types have the struct. */
function kernelType(name: string): Probe {
  return ({ hasType }) => {
    const found = hasType(name);
    return found === undefined ? { answer: 'unknown', why: 'needs kernel BTF' } : { answer: found ? 'yes' : 'no' };
  };
}

function moduleBtf({ config }: ProbeContext): Found {
  if (listKernelBtf().some(({ name }) => name !== 'vmlinux')) return yes;
  const set = hasConfig(config, 'DEBUG_INFO_BTF_MODULES');
  if (set === 'yes') return { answer: 'yes', why: 'no module is loaded that has types' };
  return set === 'no' ? { answer: 'no' } : { answer: 'unknown', why: 'no loaded module has types' };
}

function bpfLsm({ lsms }: ProbeContext): Found {
  if (lsms === undefined) return { answer: 'unknown', why: 'securityfs is not mounted' };
  return lsms.includes('bpf') ? yes : { answer: 'no', why: `active: ${lsms.join(', ')}` };
}

/** What users ask of a kernel beside program, map and helper types. Each probe leaves nothing behind. */
export const featureProbes = {
  btf: () => ({ answer: existsSync('/sys/kernel/btf/vmlinux') ? 'yes' : 'no' }),
  module_btf: moduleBtf,
  batch_operations: command('map_lookup_batch'),
  links: command('link_create'),
  link_detach: command('link_detach'),
  iterators: command('iter_create'),
  tokens: command('token_create'),
  statistics: stats,
  perf_links: link({ programType: 'tracepoint', attachType: 'perf_event', target: noDescriptor, known: 'EBADF' }),
  cgroup_links: link({
    programType: 'cgroup_skb',
    attachType: 'cgroup_inet_ingress',
    target: noDescriptor,
    known: 'EBADF',
    needs: { does: 'attach', to: 'cgroup_skb' },
  }),
  netns_links: link({
    programType: 'flow_dissector',
    attachType: 'flow_dissector',
    target: noDescriptor,
    known: 'EBADF',
  }),
  xdp_links: kernelType('bpf_xdp_link'),
  sockmap_links: link({ programType: 'sk_msg', attachType: 'sk_msg_verdict', target: noDescriptor, known: 'EBADF' }),
  struct_ops_links: kernelType('bpf_struct_ops_link'),
  netfilter_links: link({
    programType: 'netfilter',
    attachType: 'netfilter',
    target: 0,
    of: 'netfilter',
    known: 'EAFNOSUPPORT',
  }),
  tcx: link({ programType: 'sched_cls', attachType: 'tcx_ingress', target: noInterface, known: 'ENODEV' }),
  netkit: link({ programType: 'sched_cls', attachType: 'netkit_primary', target: noInterface, known: 'ENODEV' }),
  kprobes: pmu('kprobe'),
  uprobes: pmu('uprobe'),
  kprobe_multi: link({
    programType: 'kprobe',
    attachType: 'trace_kprobe_multi',
    target: 0,
    of: 'kprobe_multi',
    known: 'ESRCH',
  }),
  uprobe_multi: link({
    programType: 'kprobe',
    attachType: 'trace_uprobe_multi',
    target: 0,
    of: 'uprobe_multi',
    known: 'EBADF',
  }),
  fentry,
  active_bpf_lsm: bpfLsm,
  isa_v2: loadable('isa_v2'),
  isa_v3: loadable('isa_v3'),
  isa_v4: loadable('isa_v4'),
  atomic_add64: loadable('atomic_add64'),
  atomic_fetch64: loadable('atomic_fetch64'),
  bounded_loops: loadable('bounded_loops'),
  function_calls: loadable('function_calls'),
  large_programs: loadable('large_programs'),
} as const satisfies Record<string, Probe>;

export type FeatureName = keyof typeof featureProbes;

// enum of linux/lsm.h, ≥ 6.8.
const lsmNames: Record<number, string> = {
  100: 'capability',
  101: 'selinux',
  102: 'smack',
  103: 'tomoyo',
  104: 'apparmor',
  105: 'yama',
  106: 'loadpin',
  107: 'safesetid',
  108: 'lockdown',
  109: 'bpf',
  110: 'landlock',
  111: 'ima',
  112: 'evm',
  113: 'ipe',
};

/** The active security modules, in their order; undefined where securityfs is not mounted and the kernel is older than 6.8. */
export function activeLsms(): string[] | undefined {
  try {
    return readFileSync('/sys/kernel/security/lsm', 'utf8').trim().split(',');
  } catch {
    const ids = native.lsmIds();
    return typeof ids === 'number' ? undefined : ids.map((id) => lsmNames[id] ?? `lsm_${id}`);
  }
}
