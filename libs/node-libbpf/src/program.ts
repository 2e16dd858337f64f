import { requireBuffer, requireInteger, requireText, requireUint64 } from './arguments.js';
import { argumentError, attempt, closedError, succeed } from './errors.js';
import { Link } from './link.js';
import { BpfMap } from './map.js';
import type { NativeLink, NativeObject, NativeProgram, ProgramInfo } from './native.js';
import { native } from './native.js';
import { removePin } from './pin.js';
import type { KprobeMultiOptions, KprobeOptions, UprobeOptions, UsdtOptions } from './probe-target.js';
import { requireKprobe, requireKprobeMulti, requireUprobe, requireUsdt } from './probe-target.js';

// enum bpf_attach_type and XDP_FLAGS_*: kernel ABI (linux/bpf.h, linux/if_link.h).
const attachTypeXdp = 37;
const attachTypeTcx = { ingress: 46, egress: 47 } as const;
const xdpFlags = { native: 1 << 2, generic: 1 << 1 } as const;
const attachTypeSockmap: Record<string, number> = { sk_msg: 7, sk_skb: 5 };
// NFPROTO_* and NF_INET_* (linux/netfilter.h).
const protocolFamilies = { ipv4: 2, ipv6: 10 } as const;
const netfilterHooks = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 } as const;
// enum perf_type_id (linux/perf_event.h).
const perfTypes = { hardware: 0, software: 1 } as const;

const testRunDataBytesMax = 1 << 20;
// A program may grow a packet (bpf_xdp_adjust_head, bpf_skb_change_*).
const testRunGrowthBytes = 512;

export interface PerfEventOptions {
  type: 'software' | 'hardware';
  /** PERF_COUNT_SW_* or PERF_COUNT_HW_*: software 0 is the CPU clock. */
  config: number;
  /** Samples a second. Give this or `period`. */
  frequencyHz?: number;
  /** Events between two samples; for clocks, nanoseconds. */
  period?: bigint;
  cpu: number;
  /** -1 for every process on that CPU. */
  pid: number;
}

export interface TestRunOptions {
  /** The packet, at most 1 MiB. */
  data?: Buffer;
  /** The context, for program types that take one (raw_tp: an array of u64 arguments; syscall: the struct). */
  context?: Buffer;
  /**
   * How often, inside one call, which costs about 20 ms of RCU waiting. 0, as when left out, is once; raw_tp and syscall
   * programs take nothing else.
   */
  repeat?: number;
}

export interface TestRunResult {
  returnValue: number;
  /** Mean of one run. */
  durationNs: number;
  /** The packet as the program left it. */
  data?: Buffer;
}

export interface NetfilterOptions {
  family: keyof typeof protocolFamilies;
  hook: keyof typeof netfilterHooks;
  /** Not INT_MIN or INT_MAX, which the kernel keeps for itself. */
  priority: number;
  /** Let the kernel put fragments together before (≥ 6.6). */
  defragment?: boolean;
}

/** @internal What a program knows when it comes from an object. */
export interface ProgramOrigin {
  name: string;
  section: string;
  attachType: number | undefined;
  attach?: (operation: string, attach: (object: NativeObject, index: number) => NativeLink | number) => NativeLink;
}

/** A loaded program. Closing it does not detach its links. */
export class Program {
  readonly name: string;
  /** Empty for a program that was opened from a pin. */
  readonly section: string;
  readonly type: string;
  readonly id: number;
  readonly #origin: ProgramOrigin;
  #native: NativeProgram | undefined;
  #pinPath: string | undefined;

  /** @internal */
  constructor(handle: NativeProgram, origin?: ProgramOrigin, pinPath?: string) {
    const info = succeed('BPF_PROGRAM', 'read program info', () => handle.info());
    this.#native = handle;
    this.#origin = origin ?? { name: info.name, section: '', attachType: undefined };
    this.#pinPath = pinPath;
    this.name = this.#origin.name;
    this.section = this.#origin.section;
    this.type = info.type;
    this.id = info.id;
  }

  /** Opens a pinned program. It can be attached to interfaces and perf events; by SEC() only its object can attach it. */
  static openPinned(path: string): Program {
    const operation = `open pinned program ${path}`;
    requireText(operation, 'path', path);
    return new Program(
      succeed('BPF_PIN', operation, () => native.openPinned(path, 'program')),
      undefined,
      path,
    );
  }

  get fd(): number {
    return this.#opened('read fd').fd();
  }

  get closed(): boolean {
    return this.#native === undefined;
  }

  info(): ProgramInfo {
    const handle = this.#opened('info');
    return succeed('BPF_PROGRAM', `info of ${this.name}`, () => handle.info());
  }

  /** Attaches to what the ELF section names: tracepoint, raw_tp, tp_btf, kprobe, uprobe, usdt, iter, fentry, lsm, … */
  attach(): Link {
    this.#opened('attach');
    const operation = `attach ${this.name}`;
    return this.#attachBy(operation, this.type, (object, index) => object.attach(index));
  }

  /** On a kernel function (perf PMU ≥ 4.17; needs CONFIG_KPROBES). */
  attachKprobe(options: KprobeOptions): Link {
    const operation = `attach ${this.name} to kernel function`;
    const { name, offset, onReturn } = requireKprobe(operation, options);
    return this.#attachBy(operation, 'perf_event', (object, index) =>
      object.attachKprobe(index, name, offset, onReturn),
    );
  }

  /** On many kernel functions with one link: `SEC("kprobe.multi")`, kernel ≥ 5.18 (needs CONFIG_FPROBE). */
  attachKprobeMulti(options: KprobeMultiOptions): Link {
    const operation = `attach ${this.name} to kernel functions`;
    const { functions, onReturn } = requireKprobeMulti(operation, options);
    return this.#attachBy(operation, 'kprobe_multi', (object, index) =>
      object.attachKprobeMulti(index, functions, onReturn),
    );
  }

  /** On a function or a place of a program or library (≥ 4.17; needs CONFIG_UPROBES and CAP_SYS_ADMIN). */
  attachUprobe(options: UprobeOptions): Link {
    const operation = `attach ${this.name} to user code`;
    const { path, name, offset, pid, onReturn } = requireUprobe(operation, options);
    return this.#attachBy(operation, 'perf_event', (object, index) =>
      object.attachUprobe(index, path, name, offset, pid, onReturn),
    );
  }

  /** On a user-defined static tracepoint: `SEC("usdt")` and bpf/usdt.bpf.h. */
  attachUsdt(options: UsdtOptions): Link {
    const operation = `attach ${this.name} to a USDT`;
    const { path, provider, name, pid } = requireUsdt(operation, options);
    return this.#attachBy(operation, 'usdt', (object, index) => object.attachUsdt(index, path, provider, name, pid));
  }

  /** On `category/name`, such as `sched/sched_switch`. */
  attachTracepoint(category: string, name: string): Link {
    const operation = `attach ${this.name} to a tracepoint`;
    requireText(operation, 'category', category);
    requireText(operation, 'name', name);
    return this.#attachBy(operation, 'perf_event', (object, index) => object.attachTracepoint(index, category, name));
  }

  /** On a raw tracepoint by its bare name, such as `sched_switch` (≥ 4.17). */
  attachRawTracepoint(name: string): Link {
    const operation = `attach ${this.name} to a raw tracepoint`;
    requireText(operation, 'name', name);
    return this.#attachBy(operation, 'raw_tracepoint', (object, index) =>
      object.attachTracepoint(index, undefined, name),
    );
  }

  /** Of `SEC("iter/bpf_map_elem")`: over the elements of one map (≥ 5.9). Other iterators take `attach()`. */
  attachIterator(map: BpfMap): Link {
    const operation = `attach ${this.name} to a map`;
    if (!(map instanceof BpfMap)) throw argumentError(operation, 'expected a BpfMap');
    const { fd } = map;
    return this.#attachBy(operation, 'iter', (object, index) => object.attachIterator(index, fd));
  }

  /**
   * On a sockmap or sockhash: sk_msg, or sk_skb as SEC() names it (parser, verdict). From 6.10 a link; before, the program is
   * detached when the returned handle is closed, and stays on the map if the process dies.
   */
  attachSockmap(map: BpfMap): Link {
    const operation = `attach ${this.name} to sockmap`;
    const handle = this.#opened(operation);
    if (!(map instanceof BpfMap) || !['sockmap', 'sockhash'].includes(map.type)) {
      throw argumentError(operation, 'expected a sockmap or sockhash');
    }
    const attachType = this.#origin.attachType || attachTypeSockmap[this.type];
    if (attachType === undefined) throw argumentError(operation, `a ${this.type} program does not attach to a sockmap`);
    const { fd } = map;
    return new Link(
      succeed('BPF_ATTACH', operation, () => handle.attachSockmap(fd, attachType)),
      'sockmap',
    );
  }

  /** `SEC("netfilter")`, kernel ≥ 6.4 with CONFIG_NETFILTER_BPF_LINK; smaller priorities run first. */
  attachNetfilter(options: NetfilterOptions): Link {
    const operation = `attach ${this.name} to netfilter`;
    const handle = this.#opened(operation);
    if (!Object.hasOwn(protocolFamilies, options.family)) throw argumentError(operation, 'family must be ipv4 or ipv6');
    if (!Object.hasOwn(netfilterHooks, options.hook)) throw argumentError(operation, 'no such hook');
    const priority = requireInteger(operation, 'priority', options.priority, -0x7fff_ffff, 0x7fff_fffe);
    const family = protocolFamilies[options.family];
    const hook = netfilterHooks[options.hook];
    const link = succeed('BPF_ATTACH', operation, () =>
      handle.attachNetfilter(family, hook, priority, options.defragment === true),
    );
    return new Link(link, 'netfilter');
  }

  #attachBy(
    operation: string,
    linkType: string,
    attach: (object: NativeObject, index: number) => NativeLink | number,
  ): Link {
    this.#opened(operation);
    if (this.#origin.attach === undefined) {
      throw argumentError(operation, 'a program that was opened from a pin has no object to attach it by');
    }
    return new Link(this.#origin.attach(operation, attach), linkType);
  }

  /** Kernel ≥ 5.9. Without a mode the driver's own is used if it has one, else the generic. */
  attachXdp(ifindex: number, options: { mode?: 'native' | 'generic' } = {}): Link {
    const operation = `attach ${this.name} to interface`;
    const handle = this.#opened(operation);
    requireInteger(operation, 'ifindex', ifindex, 1, 0x7fff_ffff);
    if (options.mode !== undefined && !Object.hasOwn(xdpFlags, options.mode)) {
      throw argumentError(operation, 'mode must be native or generic');
    }
    const flags = options.mode === undefined ? 0 : xdpFlags[options.mode];
    const link = succeed('BPF_ATTACH', operation, () => handle.attachInterface(ifindex, attachTypeXdp, flags));
    return new Link(link, 'xdp');
  }

  /** Kernel ≥ 6.6. */
  attachTcx(ifindex: number, direction: 'ingress' | 'egress'): Link {
    const operation = `attach ${this.name} to interface`;
    const handle = this.#opened(operation);
    requireInteger(operation, 'ifindex', ifindex, 1, 0x7fff_ffff);
    if (!Object.hasOwn(attachTypeTcx, direction)) throw argumentError(operation, 'direction must be ingress or egress');
    const attachType = attachTypeTcx[direction];
    return new Link(
      succeed('BPF_ATTACH', operation, () => handle.attachInterface(ifindex, attachType, 0)),
      'tcx',
    );
  }

  /** One link for one CPU. Below 5.15 the link cannot be pinned and has no id. */
  attachPerfEvent(options: PerfEventOptions): Link {
    const operation = `attach ${this.name} to a perf event`;
    const handle = this.#opened(operation);
    if (!Object.hasOwn(perfTypes, options.type)) throw argumentError(operation, 'type must be software or hardware');
    const config = BigInt(requireInteger(operation, 'config', options.config, 0, Number.MAX_SAFE_INTEGER));
    if ((options.frequencyHz === undefined) === (options.period === undefined)) {
      throw argumentError(operation, 'give either frequencyHz or period');
    }
    const frequencyHz =
      options.frequencyHz === undefined
        ? 0
        : requireInteger(operation, 'frequencyHz', options.frequencyHz, 1, 1_000_000);
    const period = options.period === undefined ? 0n : requireUint64(operation, 'period', options.period);
    if (frequencyHz === 0 && period === 0n) throw argumentError(operation, 'period must not be 0');
    const cpu = requireInteger(operation, 'cpu', options.cpu, -1, 0xffff);
    const pid = requireInteger(operation, 'pid', options.pid, -1, 0x7fff_ffff);
    const type = perfTypes[options.type];
    const link = succeed('BPF_ATTACH', operation, () =>
      handle.attachPerfEvent(type, config, frequencyHz, period, cpu, pid),
    );
    return new Link(link, 'perf_event');
  }

  /** Attaches to a cgroup v2 folder, at the hook that SEC() names. Kernel ≥ 5.7. */
  attachCgroup(path: string): Link {
    return this.#attachPath(path, 'cgroup');
  }

  /** Attaches to a network namespace, such as `/proc/self/ns/net`: sk_lookup (≥ 5.9), flow_dissector (≥ 5.8). */
  attachNetns(path: string): Link {
    return this.#attachPath(path, 'netns');
  }

  #attachPath(path: string, linkType: string): Link {
    const operation = `attach ${this.name} to ${linkType} ${path}`;
    const handle = this.#opened(operation);
    requireText(operation, 'path', path);
    const attachType = this.#origin.attachType;
    if (attachType === undefined) {
      throw argumentError(operation, 'a program without its object does not know its hook');
    }
    return new Link(
      succeed('BPF_ATTACH', operation, () => handle.attachPath(path, attachType)),
      linkType,
    );
  }

  /** Pins into a bpffs. The program then outlives this process. */
  pin(path: string): void {
    const operation = `pin program ${this.name} at ${path}`;
    const handle = this.#opened(operation);
    requireText(operation, 'path', path);
    attempt('BPF_PIN', operation, () => handle.pin(path));
    this.#pinPath = path;
  }

  /** Removes the pin that this handle made or was opened from. */
  unpin(): void {
    this.#opened('unpin');
    this.#pinPath = removePin(`program ${this.name}`, this.#pinPath);
  }

  /** BPF_PROG_TEST_RUN: XDP, skb, raw_tp, syscall and some more. */
  testRun(options: TestRunOptions): TestRunResult {
    const operation = `test run ${this.name}`;
    const handle = this.#opened(operation);
    const repeat = requireInteger(operation, 'repeat', options.repeat ?? 0, 0, 0x7fff_ffff);
    if (options.data !== undefined) requireBuffer(operation, 'data', options.data);
    if (options.context !== undefined) requireBuffer(operation, 'context', options.context);
    const dataBytes = options.data?.length ?? 0;
    if (dataBytes > testRunDataBytesMax)
      throw argumentError(operation, `data has more than ${testRunDataBytesMax} bytes`);
    const outBytes = options.data === undefined ? 0 : dataBytes + testRunGrowthBytes;
    return succeed('BPF_PROGRAM', operation, () => handle.testRun(options.data, options.context, repeat, outBytes));
  }

  /** Idempotent. */
  close(): void {
    this.#native?.close();
    this.#native = undefined;
  }

  #opened(operation: string): NativeProgram {
    if (this.#native === undefined) throw closedError(`${operation} (program ${this.name})`);
    return this.#native;
  }
}
