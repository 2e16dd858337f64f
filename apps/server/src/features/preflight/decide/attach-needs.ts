import { compareSeries, kernelSeries } from '@bpfleet/probe';
import { programTypeOf } from '../../../verify/index.js';

/** What has to be there for a program to be loaded and attached, by the names that agents report. */
export interface AttachNeeds {
  readonly features: readonly string[];
  /** It is attached by patching the entry of a kernel function (BPF trampoline). */
  readonly trampoline: boolean;
}

/** Of the kernel's list of security modules, and the feature that says that it is on it. */
export const BPF_LSM = 'bpf';
export const ACTIVE_BPF_LSM = 'active_bpf_lsm';

const NOTHING: AttachNeeds = { features: [], trampoline: false };
const needs = (...features: string[]): AttachNeeds => ({ features, trampoline: false });

/**
 * By the type that `programTypeOf` gives. Where a type of program has no feature of its own here, libbpf's probe for it says
 * something else than whether it can be used: `tracing` is whether fentry works, which tp_btf and iterators do not need.
 */
const BY_TYPE: Readonly<Record<string, AttachNeeds>> = {
  tracepoint: needs('tracepoint'),
  raw_tracepoint: needs('raw_tracepoint'),
  raw_tracepoint_writable: needs('raw_tracepoint_writable'),
  kprobe: needs('kprobe', 'kprobes'),
  uprobe: needs('kprobe', 'uprobes'),
  fentry: { features: ['fentry'], trampoline: true },
  fexit: { features: ['fentry'], trampoline: true },
  fmod_ret: { features: ['fentry'], trampoline: true },
  lsm: { features: ['lsm', ACTIVE_BPF_LSM], trampoline: true },
  iter: needs('iterators'),
  perf_event: needs('perf_event'),
  xdp: needs('xdp', 'xdp_links'),
  tc: needs('sched_cls', 'tcx'),
  cgroup_skb: needs('cgroup_skb', 'cgroup_links'),
  cgroup: needs('cgroup_links'),
  sock_ops: needs('sock_ops', 'cgroup_links'),
  sk_lookup: needs('sk_lookup', 'netns_links'),
  flow_dissector: needs('flow_dissector', 'netns_links'),
  sk_skb: needs('sk_skb'),
  sk_msg: needs('sk_msg'),
  netfilter: needs('netfilter', 'netfilter_links'),
  socket_filter: needs('socket_filter'),
};

/** Hooks of many functions at once are links of a kind of their own. */
const BY_HEAD: Readonly<Record<string, AttachNeeds>> = {
  'kprobe.multi': needs('kprobe', 'kprobe_multi'),
  'kretprobe.multi': needs('kprobe', 'kprobe_multi'),
  'uprobe.multi': needs('kprobe', 'uprobe_multi'),
  'uretprobe.multi': needs('kprobe', 'uprobe_multi'),
};

/**
 * What a section does not say enough about to attach by it alone, and the manifest cannot say: an agent loads these, is told
 * EOPNOTSUPP by libbpf when it attaches, and tries for ever.
 */
const NOT_ATTACHED: ReadonlySet<string> = new Set([
  ...['socket_filter', 'freplace', 'sk_skb', 'sk_msg', 'sk_reuseport', 'lwt', 'lirc_mode2'],
  ...['flow_dissector', 'netfilter', 'struct_ops', 'syscall'],
]);

/** Whether agents attach programs of that section at all. */
export function isAttachedByAgents(section: string): boolean {
  const type = programTypeOf(section);
  return type === undefined || !(NOT_ATTACHED.has(type) || /^(lsm_cgroup|action)(\/|$)/.test(section));
}

export function attachNeeds(section: string): AttachNeeds {
  const head = section.split('/', 1)[0] ?? '';
  if (Object.hasOwn(BY_HEAD, head)) return BY_HEAD[head] as AttachNeeds;
  const type = programTypeOf(section);
  return (type !== undefined && Object.hasOwn(BY_TYPE, type) && BY_TYPE[type]) || NOTHING;
}

/** A sentence's end for what lacks a feature of which that is not the whole story. */
export const WHY_NEEDED: Readonly<Record<string, string>> = {
  tcx: ': it came with Linux 6.6, and agents set no classic filter, which would outlive them and their leases',
};

/** Where no agent has said. */
export function mayLackTcx(kernelRelease: string): boolean {
  const series = kernelSeries(kernelRelease);
  return series === undefined || compareSeries(series, { major: 6, minor: 6 }) < 0;
}

/**
 * Whether kernels of this architecture and release load programs that they then cannot attach: trampolines came to ARM64's
 * ftrace with 6.4, and never to ARM. Seen on arm64 6.1: loaded, and refused with 524 when attached.
 */
export function mayLackTrampolines(kernelArch: string, kernelRelease: string): boolean {
  if (kernelArch === 'arm') return true;
  if (kernelArch !== 'arm64') return false;
  const series = kernelSeries(kernelRelease);
  return series === undefined || compareSeries(series, { major: 6, minor: 4 }) < 0;
}
