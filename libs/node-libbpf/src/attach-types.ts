import type { PrivilegedAction } from './capabilities.js';
import type { FeatureName } from './kernel-features.js';
import type { linkTypes } from './link-kinds.js';

/** One way of attaching a program: what it needs, and what one gets. */
export interface AttachTypeFacts {
  name: string;
  /** As in SEC(): what follows the last slash, where there is one, is the target's place. */
  section: string;
  /** libbpf's name. */
  programType: string;
  /** Undefined where there is no link of the kernel's: no pin, no id. */
  linkType: keyof typeof linkTypes | undefined;
  /** The method that attaches it, of Program unless it says otherwise. */
  attach: string;
  /** The first kernel on which this library can attach it, and the commit that brought it. */
  since: string;
  commit: string;
  /** Later on some processors, or never (`''`): by the kernel's machine. */
  sinceByMachine?: Readonly<Record<string, string>>;
  /** Options of the kernel's configuration that it needs beside BPF_SYSCALL; see readKernelConfig. */
  config: readonly string[];
  /** The question of probeKernel() that is about it. */
  feature?: FeatureName;
  /** What beside loading the program the kernel asks capabilities for; see capabilitiesToAttach. */
  privileged?: PrivilegedAction;
}

// Function entries are patched by BPF trampolines, which came to ARM64 with 6.0 and to ftrace's direct calls there with 6.4.
const trampoline = { aarch64: '6.4', armv7l: '' } as const;
const trampolineConfig = ['DEBUG_INFO_BTF', 'DYNAMIC_FTRACE_WITH_DIRECT_CALLS'] as const;

const kprobe = {
  programType: 'kprobe',
  linkType: 'perf_event',
  attach: 'attach, attachKprobe',
  since: '4.1',
  commit: '2541517c32be',
  config: ['KPROBE_EVENTS'],
  feature: 'kprobes',
  privileged: { does: 'attach', to: 'kprobe' },
} as const;

const uprobe = {
  programType: 'kprobe',
  linkType: 'perf_event',
  attach: 'attach, attachUprobe',
  since: '4.3',
  commit: '04a22fae4cbc',
  config: ['UPROBE_EVENTS'],
  feature: 'uprobes',
  privileged: { does: 'attach', to: 'uprobe' },
} as const;

const fentry = {
  programType: 'tracing',
  linkType: 'tracing',
  attach: 'attach',
  since: '5.5',
  commit: 'fec56f5890d9',
  sinceByMachine: trampoline,
  config: trampolineConfig,
  feature: 'fentry',
} as const;

/** Every way of attaching that this library has. The README's table is made of it, and each entry has a check that attaches. */
export const attachTypes = [
  {
    name: 'tracepoint',
    section: 'tracepoint/<category>/<name>',
    programType: 'tracepoint',
    linkType: 'perf_event',
    attach: 'attach, attachTracepoint',
    since: '4.7',
    commit: '98b5c2c65c29',
    config: ['BPF_EVENTS'],
    privileged: { does: 'attach', to: 'tracepoint' },
  },
  {
    name: 'raw_tp',
    section: 'raw_tp/<name>',
    programType: 'raw_tracepoint',
    linkType: 'raw_tracepoint',
    attach: 'attach, attachRawTracepoint',
    since: '4.17',
    commit: 'c4f6699dfcb8',
    config: ['BPF_EVENTS'],
  },
  {
    name: 'tp_btf',
    section: 'tp_btf/<name>',
    programType: 'tracing',
    linkType: 'raw_tracepoint',
    attach: 'attach',
    since: '5.5',
    commit: 'f1b9509c2fb0',
    config: ['BPF_EVENTS', 'DEBUG_INFO_BTF'],
    feature: 'btf',
  },
  { ...kprobe, name: 'kprobe', section: 'kprobe/<function>' },
  { ...kprobe, name: 'kretprobe', section: 'kretprobe/<function>' },
  {
    name: 'kprobe_multi',
    section: 'kprobe.multi/<pattern>',
    programType: 'kprobe',
    linkType: 'kprobe_multi',
    attach: 'attach, attachKprobeMulti',
    since: '5.18',
    commit: '0dcac2725406',
    config: ['FPROBE'],
    // FPROBE stood on rethooks, which ARM64 never had, until it moved to the function graph tracer (kernel commit 4346ba160409):
    // Debian's 6.1 and 6.12 are built without it, its 7.2 with it.
    sinceByMachine: { aarch64: '6.14', armv7l: '' },
    feature: 'kprobe_multi',
  },
  { ...fentry, name: 'fentry', section: 'fentry/<function>' },
  { ...fentry, name: 'fexit', section: 'fexit/<function>' },
  {
    name: 'fmod_ret',
    section: 'fmod_ret/<function>',
    programType: 'tracing',
    linkType: 'tracing',
    attach: 'attach',
    since: '5.7',
    commit: 'ae24082331d9',
    sinceByMachine: trampoline,
    // Before kernel commit 5b481acab4ce only functions of FUNCTION_ERROR_INJECTION and `security_…` took it; ARM64 6.12 without
    // that option was seen to.
    config: trampolineConfig,
    feature: 'fentry',
  },
  {
    name: 'lsm',
    section: 'lsm/<hook>',
    programType: 'lsm',
    linkType: 'tracing',
    attach: 'attach',
    since: '5.7',
    commit: 'fc611f47f218',
    sinceByMachine: trampoline,
    config: [...trampolineConfig, 'BPF_LSM'],
    feature: 'active_bpf_lsm',
  },
  {
    name: 'lsm_cgroup',
    section: 'lsm_cgroup/<hook>',
    programType: 'lsm',
    linkType: 'cgroup',
    attach: 'attachCgroup',
    since: '6.0',
    commit: '69fd337a975c',
    sinceByMachine: trampoline,
    config: [...trampolineConfig, 'BPF_LSM', 'CGROUP_BPF'],
    feature: 'active_bpf_lsm',
  },
  { ...uprobe, name: 'uprobe', section: 'uprobe/<path>:<function>' },
  { ...uprobe, name: 'uretprobe', section: 'uretprobe/<path>:<function>' },
  {
    name: 'uprobe_multi',
    section: 'uprobe.multi/<path>:<pattern>',
    programType: 'kprobe',
    linkType: 'uprobe_multi',
    attach: 'attach, attachUprobeMulti',
    since: '6.6',
    commit: '89ae89f53d20',
    config: ['UPROBES'],
    sinceByMachine: { armv7l: '' },
    feature: 'uprobe_multi',
  },
  {
    ...uprobe,
    name: 'usdt',
    section: 'usdt/<path>:<provider>:<name>',
    linkType: undefined,
    attach: 'attach, attachUsdt',
    privileged: { does: 'attach', to: 'usdt' },
  },
  {
    name: 'perf_event',
    section: 'perf_event',
    programType: 'perf_event',
    linkType: 'perf_event',
    attach: 'attachPerfEvent',
    since: '4.9',
    commit: '0515e5999a46',
    config: ['PERF_EVENTS'],
    privileged: { does: 'attach', to: 'perf_event' },
  },
  {
    name: 'xdp',
    section: 'xdp',
    programType: 'xdp',
    linkType: 'xdp',
    attach: 'attachXdp',
    since: '5.9',
    commit: 'aa8d3a716b59',
    config: ['NET'],
    feature: 'xdp_links',
  },
  {
    name: 'tc_clsact',
    section: 'tc',
    programType: 'sched_cls',
    linkType: undefined,
    attach: 'ClsactFilter.attach',
    since: '4.5',
    commit: '1f211a1b929c',
    config: ['NET_CLS_BPF', 'NET_SCH_INGRESS'],
    privileged: { does: 'attach', to: 'clsact' },
  },
  {
    name: 'tcx',
    section: 'tc',
    programType: 'sched_cls',
    linkType: 'tcx',
    attach: 'attachTcx',
    since: '6.6',
    commit: 'e420bed02507',
    config: ['NET'],
    feature: 'tcx',
  },
  ...(
    [
      ['cgroup_skb', 'cgroup_skb/<ingress|egress>', 'cgroup_skb'],
      ['cgroup_sock', 'cgroup/<sock_create|post_bind4|…>', 'cgroup_sock'],
      ['cgroup_sock_addr', 'cgroup/<connect4|bind4|sendmsg4|…>', 'cgroup_sock_addr'],
      ['cgroup_sockopt', 'cgroup/<getsockopt|setsockopt>', 'cgroup_sockopt'],
      ['cgroup_device', 'cgroup/dev', 'cgroup_device'],
      ['cgroup_sysctl', 'cgroup/sysctl', 'cgroup_sysctl'],
      ['sock_ops', 'sockops', 'sock_ops'],
    ] as const
  ).map(
    ([name, section, programType]) =>
      ({
        name,
        section,
        programType,
        linkType: 'cgroup',
        attach: 'attachCgroup',
        // The program types are older; this library attaches them by links.
        since: '5.7',
        commit: 'af6eea57437a',
        config: ['CGROUP_BPF'],
        feature: 'cgroup_links',
        // The other types are asked for when they are loaded.
        ...(name === 'cgroup_skb' ? { privileged: { does: 'attach', to: 'cgroup_skb' } as const } : {}),
      }) as const,
  ),
  {
    name: 'sk_lookup',
    section: 'sk_lookup',
    programType: 'sk_lookup',
    linkType: 'netns',
    attach: 'attachNetns',
    since: '5.9',
    commit: 'e9ddbb7707ff',
    config: ['NET'],
    feature: 'netns_links',
  },
  {
    name: 'flow_dissector',
    section: 'flow_dissector',
    programType: 'flow_dissector',
    linkType: 'netns',
    attach: 'attachNetns',
    since: '5.8',
    commit: '7f045a49fee0',
    config: ['NET'],
    feature: 'netns_links',
  },
  {
    name: 'sk_msg',
    section: 'sk_msg',
    programType: 'sk_msg',
    linkType: 'sockmap',
    attach: 'attachSockmap',
    since: '4.17',
    commit: '4f738adba30a',
    config: ['BPF_STREAM_PARSER'],
  },
  {
    name: 'sk_skb',
    section: 'sk_skb/<stream_verdict|stream_parser>',
    programType: 'sk_skb',
    linkType: 'sockmap',
    attach: 'attachSockmap',
    since: '4.14',
    commit: '464bc0fd6273',
    config: ['BPF_STREAM_PARSER'],
  },
  {
    name: 'netfilter',
    section: 'netfilter',
    programType: 'netfilter',
    linkType: 'netfilter',
    attach: 'attachNetfilter',
    since: '6.4',
    commit: '84601d6ee68a',
    config: ['NETFILTER_BPF_LINK'],
    feature: 'netfilter_links',
  },
  {
    name: 'iter',
    section: 'iter/<what>',
    programType: 'tracing',
    linkType: 'iter',
    attach: 'attach',
    since: '5.8',
    commit: '15d83c4d7cef',
    config: ['BPF_EVENTS', 'DEBUG_INFO_BTF'],
    feature: 'iterators',
  },
  {
    name: 'iter_map_elem',
    section: 'iter/bpf_map_elem',
    programType: 'tracing',
    linkType: 'iter',
    attach: 'attachIterator',
    since: '5.9',
    commit: 'a5cbe05a6673',
    config: ['BPF_EVENTS', 'DEBUG_INFO_BTF'],
    feature: 'iterators',
  },
  {
    name: 'struct_ops',
    section: '.struct_ops',
    programType: 'struct_ops',
    linkType: undefined,
    attach: 'BpfObject.attachStructOps',
    since: '5.6',
    commit: '27ae7997a661',
    sinceByMachine: { aarch64: '6.0', armv7l: '' },
    config: ['DEBUG_INFO_BTF'],
  },
  {
    name: 'struct_ops_link',
    section: '.struct_ops.link',
    programType: 'struct_ops',
    linkType: 'struct_ops',
    attach: 'BpfObject.attachStructOps',
    since: '6.4',
    commit: '68b04864ca42',
    sinceByMachine: { armv7l: '' },
    config: ['DEBUG_INFO_BTF'],
    feature: 'struct_ops_links',
  },
  {
    name: 'freplace',
    section: 'freplace/<function>',
    programType: 'ext',
    linkType: 'tracing',
    attach: 'attach',
    since: '5.6',
    commit: 'be8704ff07d2',
    sinceByMachine: { aarch64: '6.0', armv7l: '' },
    config: ['DEBUG_INFO_BTF'],
    // libbpf opens the BTF of the target by its id.
    privileged: { does: 'open_by_id' },
  },
] as const satisfies readonly AttachTypeFacts[];

export type AttachTypeName = (typeof attachTypes)[number]['name'];
