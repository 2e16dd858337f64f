import { endianness } from 'node:os';
import type { NativeLinkFacts } from './native.js';
import { native } from './native.js';

interface LinkBase {
  id: number;
  /** 0 for links of maps (struct_ops). */
  programId: number;
}

/** What a perf event is of (≥ 6.6, kernel commit 1b715e1b0ec5; a kernel before says nothing). */
export type PerfEventTarget =
  | { event: 'uprobe' | 'uretprobe'; path: string; offset: number }
  | {
      event: 'kprobe' | 'kretprobe';
      /** Empty where the kernel does not show addresses to this process (CAP_SYSLOG, kptr_restrict). */
      function: string;
      offset: number;
      /** 0 where the kernel does not show addresses. */
      address: bigint;
      /** Hits that were lost because the probe was already running (≥ 6.7, before 0). */
      missed: bigint;
    }
  | { event: 'tracepoint'; tracepoint: string }
  | {
      event: 'perf_event';
      /** Of the PMU that has it, which is another than was asked for where the kernel has one of its own (the CPU clock's). */
      perfType: number;
      config: bigint;
    };

/** What the kernel tells about a link. What this kernel does not tell is undefined (counts of misses: 0). */
export type LinkInfo =
  | (LinkBase & { type: 'raw_tracepoint'; tracepoint: string | undefined })
  | (LinkBase & {
      type: 'tracing';
      attachType: string;
      /** The program that is replaced (freplace) or traced, else the BTF object of the kernel or module (≥ 5.13). */
      targetObjectId: number | undefined;
      /** The function, as a type of that object's BTF (≥ 5.13). */
      targetBtfTypeId: number | undefined;
    })
  | (LinkBase & {
      type: 'cgroup';
      /** Undefined when the cgroup was removed. */
      cgroupId: bigint | undefined;
      attachType: string;
    })
  | (LinkBase & {
      type: 'iter';
      target: string | undefined;
      mapId: number | undefined;
      cgroupId: bigint | undefined;
      tid: number | undefined;
      pid: number | undefined;
    })
  | (LinkBase & {
      type: 'netns';
      /** As in `stat /proc/self/ns/net`; undefined when the namespace is gone. */
      netnsInode: number | undefined;
      attachType: string;
    })
  | (LinkBase & { type: 'xdp'; /** Undefined when the interface is gone. */ ifindex: number | undefined })
  | (LinkBase & { type: 'perf_event'; target: PerfEventTarget | undefined })
  | (LinkBase & {
      type: 'kprobe_multi';
      /** ≥ 6.6 (kernel commit 7ac8d0d26192). */
      functionCount: number | undefined;
      onReturn: boolean | undefined;
      /** ≥ 6.7, before 0. */
      missed: bigint | undefined;
    })
  | (LinkBase & { type: 'struct_ops'; mapId: number | undefined })
  | (LinkBase & {
      type: 'netfilter';
      family: 'ipv4' | 'ipv6' | `family_${number}`;
      hook: 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting' | `hook_${number}`;
      priority: number;
      defragment: boolean;
    })
  | (LinkBase & { type: 'tcx' | 'netkit'; ifindex: number | undefined; attachType: string })
  | (LinkBase & {
      type: 'uprobe_multi';
      /** ≥ 6.8 (kernel commit e56fdbfb06e2). */
      path: string | undefined;
      offsetCount: number | undefined;
      onReturn: boolean | undefined;
      /** Undefined for every process. */
      pid: number | undefined;
    })
  | (LinkBase & { type: 'sockmap'; mapId: number | undefined; attachType: string })
  | (LinkBase & { type: `type_${number}` });

/** LinkInfo of one type. */
export type LinkInfoOf<Type extends LinkInfo['type']> = Extract<LinkInfo, { type: Type }>;

const netfilterFamilies: Record<number, 'ipv4' | 'ipv6'> = { 2: 'ipv4', 10: 'ipv6' };
const netfilterHooks = ['prerouting', 'input', 'forward', 'output', 'postrouting'] as const;
const perfEvents = [undefined, 'uprobe', 'uretprobe', 'kprobe', 'kretprobe', 'tracepoint', 'perf_event'] as const;

/**
 * Where the fields of struct bpf_link_info are, kernel ABI. The list is data so that a test can hold it against the running
 * kernel's BTF; a kernel that is older ends earlier, and what lies behind its end reads as 0.
 */
export const linkInfoLayout = {
  'raw_tracepoint.tp_name': [16, 8],
  'tracing.attach_type': [16, 4],
  'tracing.target_obj_id': [20, 4],
  'tracing.target_btf_id': [24, 4],
  'cgroup.cgroup_id': [16, 8],
  'cgroup.attach_type': [24, 4],
  'iter.target_name': [16, 8],
  'iter.map.map_id': [28, 4],
  'iter.cgroup.cgroup_id': [32, 8],
  'iter.task.tid': [32, 4],
  'iter.task.pid': [36, 4],
  'netns.netns_ino': [16, 4],
  'netns.attach_type': [20, 4],
  'xdp.ifindex': [16, 4],
  'struct_ops.map_id': [16, 4],
  'netfilter.pf': [16, 4],
  'netfilter.hooknum': [20, 4],
  'netfilter.priority': [24, 4],
  'netfilter.flags': [28, 4],
  'kprobe_multi.count': [24, 4],
  'kprobe_multi.flags': [28, 4],
  'kprobe_multi.missed': [32, 8],
  'uprobe_multi.path': [16, 8],
  'uprobe_multi.path_size': [48, 4],
  'uprobe_multi.count': [52, 4],
  'uprobe_multi.flags': [56, 4],
  'uprobe_multi.pid': [60, 4],
  'perf_event.type': [16, 4],
  'perf_event.uprobe.offset': [36, 4],
  'perf_event.kprobe.offset': [36, 4],
  'perf_event.kprobe.addr': [40, 8],
  'perf_event.kprobe.missed': [48, 8],
  'perf_event.event.config': [24, 8],
  'perf_event.event.type': [32, 4],
  'tcx.ifindex': [16, 4],
  'tcx.attach_type': [20, 4],
  'netkit.ifindex': [16, 4],
  'netkit.attach_type': [20, 4],
  'sockmap.map_id': [16, 4],
  'sockmap.attach_type': [20, 4],
} as const satisfies Record<string, readonly [offset: number, bytes: number]>;

type Field = keyof typeof linkInfoLayout;

const littleEndian = endianness() === 'LE';

class Fields {
  readonly #view: DataView;

  constructor(raw: Buffer) {
    // Longer than any field's end, so that an older kernel's shorter struct reads as zeros.
    const padded = new Uint8Array(128);
    padded.set(raw.subarray(0, padded.length));
    this.#view = new DataView(padded.buffer);
  }

  u32(field: Field): number {
    return this.#view.getUint32(linkInfoLayout[field][0], littleEndian);
  }

  i32(field: Field): number {
    return this.#view.getInt32(linkInfoLayout[field][0], littleEndian);
  }

  u64(field: Field): bigint {
    return this.#view.getBigUint64(linkInfoLayout[field][0], littleEndian);
  }

  /** 0 is no id, no index and no inode: the kernel did not say. */
  known(field: Field): number | undefined {
    return this.u32(field) || undefined;
  }

  attachType(field: Field): string {
    return native.typeName('attach', this.u32(field));
  }
}

function perfEventTarget(fields: Fields, text: string): PerfEventTarget | undefined {
  const event = perfEvents[fields.u32('perf_event.type')];
  switch (event) {
    case 'uprobe':
    case 'uretprobe':
      return { event, path: text, offset: fields.u32('perf_event.uprobe.offset') };
    case 'kprobe':
    case 'kretprobe':
      return {
        event,
        function: text,
        offset: fields.u32('perf_event.kprobe.offset'),
        address: fields.u64('perf_event.kprobe.addr'),
        missed: fields.u64('perf_event.kprobe.missed'),
      };
    case 'tracepoint':
      return { event, tracepoint: text };
    case 'perf_event':
      return { event, perfType: fields.u32('perf_event.event.type'), config: fields.u64('perf_event.event.config') };
    default:
      return undefined;
  }
}

type Decoder = (base: LinkBase, fields: Fields, text: string | undefined) => LinkInfo;

function iterInfo(base: LinkBase, fields: Fields, text: string | undefined): LinkInfo {
  // The fields behind the name are a union, of which the name says the member.
  const [ofTask, ofCgroup] = [text?.startsWith('task') === true, text === 'cgroup'];
  return {
    ...base,
    type: 'iter',
    target: text,
    mapId: fields.known('iter.map.map_id'),
    cgroupId: ofCgroup ? fields.u64('iter.cgroup.cgroup_id') || undefined : undefined,
    tid: ofTask ? fields.known('iter.task.tid') : undefined,
    pid: ofTask ? fields.known('iter.task.pid') : undefined,
  };
}

function netfilterInfo(base: LinkBase, fields: Fields): LinkInfo {
  const [family, hook] = [fields.u32('netfilter.pf'), fields.u32('netfilter.hooknum')];
  return {
    ...base,
    type: 'netfilter',
    family: netfilterFamilies[family] ?? `family_${family}`,
    hook: netfilterHooks[hook] ?? `hook_${hook}`,
    priority: fields.i32('netfilter.priority'),
    defragment: (fields.u32('netfilter.flags') & 1) !== 0,
  };
}

const decoders: Record<string, Decoder> = {
  raw_tracepoint: (base, _fields, text) => ({ ...base, type: 'raw_tracepoint', tracepoint: text }),
  tracing: (base, fields) => ({
    ...base,
    type: 'tracing',
    attachType: fields.attachType('tracing.attach_type'),
    targetObjectId: fields.known('tracing.target_obj_id'),
    targetBtfTypeId: fields.known('tracing.target_btf_id'),
  }),
  cgroup: (base, fields) => ({
    ...base,
    type: 'cgroup',
    cgroupId: fields.u64('cgroup.cgroup_id') || undefined,
    attachType: fields.attachType('cgroup.attach_type'),
  }),
  iter: iterInfo,
  netns: (base, fields) => ({
    ...base,
    type: 'netns',
    netnsInode: fields.known('netns.netns_ino'),
    attachType: fields.attachType('netns.attach_type'),
  }),
  xdp: (base, fields) => ({ ...base, type: 'xdp', ifindex: fields.known('xdp.ifindex') }),
  perf_event: (base, fields, text) => ({ ...base, type: 'perf_event', target: perfEventTarget(fields, text ?? '') }),
  kprobe_multi: (base, fields) => {
    const functionCount = fields.known('kprobe_multi.count');
    const told = functionCount !== undefined;
    return {
      ...base,
      type: 'kprobe_multi',
      functionCount,
      onReturn: told ? (fields.u32('kprobe_multi.flags') & 1) !== 0 : undefined,
      missed: told ? fields.u64('kprobe_multi.missed') : undefined,
    };
  },
  struct_ops: (base, fields) => ({ ...base, type: 'struct_ops', mapId: fields.known('struct_ops.map_id') }),
  netfilter: netfilterInfo,
  uprobe_multi: (base, fields, text) => ({
    ...base,
    type: 'uprobe_multi',
    path: text,
    offsetCount: fields.known('uprobe_multi.count'),
    onReturn: text === undefined ? undefined : (fields.u32('uprobe_multi.flags') & 1) !== 0,
    pid: fields.known('uprobe_multi.pid'),
  }),
  sockmap: (base, fields) => ({
    ...base,
    type: 'sockmap',
    mapId: fields.known('sockmap.map_id'),
    attachType: fields.attachType('sockmap.attach_type'),
  }),
  tcx: (base, fields) => ({
    ...base,
    type: 'tcx',
    ifindex: fields.known('tcx.ifindex'),
    attachType: fields.attachType('tcx.attach_type'),
  }),
  netkit: (base, fields) => ({
    ...base,
    type: 'netkit',
    ifindex: fields.known('netkit.ifindex'),
    attachType: fields.attachType('netkit.attach_type'),
  }),
};

/** @internal Reads what native/introspect.cc brings; a type that came after this library keeps its number in its name. */
export function decodeLinkInfo(facts: NativeLinkFacts): LinkInfo {
  const base: LinkBase = { id: facts.id, programId: facts.programId };
  const decode = decoders[facts.type];
  if (decode !== undefined) return decode(base, new Fields(facts.raw), facts.text);
  // libbpf may know a name that this file does not.
  return { ...base, type: `type_${new DataView(facts.raw.buffer, facts.raw.byteOffset).getUint32(0, littleEndian)}` };
}
