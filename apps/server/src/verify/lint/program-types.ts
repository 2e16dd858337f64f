/** Program types by the beginning of their `SEC()`, in libbpf's spelling; a name that ends in "/" takes a target after it. */
const SECTIONS: readonly [prefix: string, type: string][] = [
  ['tracepoint', 'tracepoint'],
  ['tp', 'tracepoint'],
  ['raw_tracepoint.w', 'raw_tracepoint_writable'],
  ['raw_tp.w', 'raw_tracepoint_writable'],
  ['raw_tracepoint', 'raw_tracepoint'],
  ['raw_tp', 'raw_tracepoint'],
  ['tp_btf', 'tp_btf'],
  ['kprobe.multi', 'kprobe'],
  ['kretprobe.multi', 'kprobe'],
  ['kprobe', 'kprobe'],
  ['kretprobe', 'kprobe'],
  ['ksyscall', 'kprobe'],
  ['kretsyscall', 'kprobe'],
  ['uprobe.multi', 'uprobe'],
  ['uretprobe.multi', 'uprobe'],
  ['uprobe', 'uprobe'],
  ['uretprobe', 'uprobe'],
  ['usdt', 'uprobe'],
  ['fentry', 'fentry'],
  ['fexit', 'fexit'],
  ['fmod_ret', 'fmod_ret'],
  ['freplace', 'freplace'],
  ['lsm', 'lsm'],
  ['lsm_cgroup', 'lsm'],
  ['iter', 'iter'],
  ['perf_event', 'perf_event'],
  ['xdp', 'xdp'],
  ['tc', 'tc'],
  ['tcx', 'tc'],
  ['classifier', 'tc'],
  ['action', 'tc'],
  ['socket', 'socket_filter'],
  ['cgroup_skb', 'cgroup_skb'],
  ['cgroup', 'cgroup'],
  ['sockops', 'sock_ops'],
  ['sk_lookup', 'sk_lookup'],
  ['sk_skb', 'sk_skb'],
  ['sk_msg', 'sk_msg'],
  ['sk_reuseport', 'sk_reuseport'],
  ['lwt_in', 'lwt'],
  ['lwt_out', 'lwt'],
  ['lwt_xmit', 'lwt'],
  ['lirc_mode2', 'lirc_mode2'],
  ['flow_dissector', 'flow_dissector'],
  ['netfilter', 'netfilter'],
  ['struct_ops', 'struct_ops'],
  ['syscall', 'syscall'],
];

const BY_NAME = new Map(SECTIONS);

/** "raw_tp/sched_switch" → "raw_tracepoint"; undefined for a section that libbpf does not know. `?` only defers loading. */
export function programTypeOf(section: string): string | undefined {
  const head = section.replace(/^\?/, '').split('/', 1)[0] ?? '';
  // A suffix ".s" makes a program sleepable, ".frags" and ".session" change how it is called: the type stays.
  return BY_NAME.get(head) ?? BY_NAME.get(head.replace(/\.(s|frags|session)$/, ''));
}
