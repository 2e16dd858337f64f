import { requireInteger, requireText } from './arguments.js';
import type { PrivilegedAction } from './capabilities.js';
import { argumentError, attempt, closedError, succeed } from './errors.js';
import type {
  CgroupLink,
  IterLink,
  KprobeMultiLink,
  NetfilterLink,
  NetnsLink,
  PerfEventLink,
  RawTracepointLink,
  SockmapLink,
  TcxLink,
  UprobeMultiLink,
  UsdtLink,
  XdpLink,
} from './link-kinds.js';
import { makeLinkOf } from './link-kinds.js';
import type { Link } from './link.js';
import { BpfMap } from './map.js';
import type { NativeLink, NativeObject, NativeProgram, ProgramInfo } from './native.js';
import { native } from './native.js';
import { openHandleById } from './open-by-id.js';
import type { PerfEventOptions } from './perf-event.js';
import { requirePerfEvent } from './perf-event.js';
import { removePin } from './pin.js';
import type {
  KprobeMultiOptions,
  KprobeOptions,
  UprobeMultiOptions,
  UprobeOptions,
  UsdtOptions,
} from './probe-target.js';
import {
  attachToFile,
  requireKprobe,
  requireKprobeMulti,
  requireUprobe,
  requireUprobeMulti,
  requireUsdt,
} from './probe-target.js';
import type { TestRunOptions, TestRunResult } from './test-run.js';
import { requireTestRun } from './test-run.js';
import { sectionTarget } from './user-file.js';

// enum bpf_attach_type and XDP_FLAGS_*: kernel ABI (linux/bpf.h, linux/if_link.h).
const attachTypeXdp = 37;
const attachTypeTcx = { ingress: 46, egress: 47 } as const;
const xdpFlags = { native: 1 << 2, generic: 1 << 1 } as const;
const attachTypeSockmap: Record<string, number> = { sk_msg: 7, sk_skb: 5 };
// NFPROTO_* and NF_INET_* (linux/netfilter.h).
const protocolFamilies = { ipv4: 2, ipv6: 10 } as const;
const netfilterHooks = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 } as const;
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
  attach?: (
    operation: string,
    attach: (object: NativeObject, index: number) => NativeLink | number,
    needs?: PrivilegedAction,
  ) => NativeLink;
}

/** What attach() makes of a section where the kernel has no link to ask, and which refusals are about capabilities. */
function attachedBySection(section: string, type: string): { linkType: string; needs?: PrivilegedAction } {
  if (section.startsWith('usdt')) return { linkType: 'usdt', needs: { does: 'attach', to: 'usdt' } };
  if (/^u(ret)?probe/.test(section)) return { linkType: 'perf_event', needs: { does: 'attach', to: 'uprobe' } };
  if (type === 'tracepoint') return { linkType: 'perf_event', needs: { does: 'attach', to: 'tracepoint' } };
  if (type === 'kprobe') return { linkType: 'perf_event', needs: { does: 'attach', to: 'kprobe' } };
  return { linkType: type };
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

  /**
   * Any program of the system (≥ 4.13; needs CAP_SYS_ADMIN); undefined when it is gone. Like one from a pin it has no object,
   * so it cannot be attached by SEC().
   */
  static openById(id: number): Program | undefined {
    const handle = openHandleById(`open program ${id}`, id, () => native.openById('program', id));
    return handle === undefined ? undefined : new Program(handle);
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
    const { linkType, needs } = attachedBySection(this.section, this.type);
    const attach = () => this.#attachBy(operation, linkType, (object, index) => object.attach(index), needs);
    const target = sectionTarget(this.section);
    return target === undefined ? attach() : attachToFile(operation, target, attach);
  }

  /** On a kernel function (perf PMU ≥ 4.17; needs CONFIG_KPROBES). */
  attachKprobe(options: KprobeOptions): PerfEventLink {
    const operation = `attach ${this.name} to kernel function`;
    const { name, offset, onReturn } = requireKprobe(operation, options);
    return this.#attachBy(
      operation,
      'perf_event',
      (object, index) => object.attachKprobe(index, name, offset, onReturn),
      { does: 'attach', to: 'kprobe' },
    );
  }

  /** On many kernel functions with one link: `SEC("kprobe.multi")`, kernel ≥ 5.18 (needs CONFIG_FPROBE). */
  attachKprobeMulti(options: KprobeMultiOptions): KprobeMultiLink {
    const operation = `attach ${this.name} to kernel functions`;
    const { functions, onReturn } = requireKprobeMulti(operation, options);
    return this.#attachBy(operation, 'kprobe_multi', (object, index) =>
      object.attachKprobeMulti(index, functions, onReturn),
    );
  }

  /** On a function or a place of a program or library (≥ 4.17; needs CONFIG_UPROBES and CAP_SYS_ADMIN). */
  attachUprobe(options: UprobeOptions): PerfEventLink {
    const operation = `attach ${this.name} to user code`;
    const { path, name, offset, pid, onReturn } = requireUprobe(operation, options);
    const target = { path, ...(name === undefined ? { offset } : { function: name }) };
    return attachToFile(operation, target, () =>
      this.#attachBy(
        operation,
        'perf_event',
        (object, index) => object.attachUprobe(index, path, name, offset, pid, onReturn),
        { does: 'attach', to: 'uprobe' },
      ),
    );
  }

  /** On many functions of a program or library with one link: `SEC("uprobe.multi")`, kernel ≥ 6.6. */
  attachUprobeMulti(options: UprobeMultiOptions): UprobeMultiLink {
    const operation = `attach ${this.name} to user functions`;
    const { path, functions, pid, onReturn } = requireUprobeMulti(operation, options);
    return attachToFile(operation, { path }, () =>
      this.#attachBy(operation, 'uprobe_multi', (object, index) =>
        object.attachUprobeMulti(index, path, functions, pid, onReturn),
      ),
    );
  }

  /** On a user-defined static tracepoint: `SEC("usdt")` and bpf/usdt.bpf.h (≥ 5.15, whose bpf_get_attach_cookie() it uses; older ones with gaps). */
  attachUsdt(options: UsdtOptions): UsdtLink {
    const operation = `attach ${this.name} to a USDT`;
    const { path, provider, name, pid } = requireUsdt(operation, options);
    const needs = { does: 'attach', to: 'usdt' } as const;
    return attachToFile(operation, { path, usdt: { provider, name } }, () =>
      this.#attachBy(operation, 'usdt', (object, index) => object.attachUsdt(index, path, provider, name, pid), needs),
    );
  }

  /** On `category/name`, such as `sched/sched_switch` (≥ 4.7; a link that can be pinned from 5.15 on). */
  attachTracepoint(category: string, name: string): PerfEventLink {
    const operation = `attach ${this.name} to a tracepoint`;
    requireText(operation, 'category', category);
    requireText(operation, 'name', name);
    return this.#attachBy(operation, 'perf_event', (object, index) => object.attachTracepoint(index, category, name), {
      does: 'attach',
      to: 'tracepoint',
    });
  }

  /** On a raw tracepoint by its bare name, such as `sched_switch` (≥ 4.17). */
  attachRawTracepoint(name: string): RawTracepointLink {
    const operation = `attach ${this.name} to a raw tracepoint`;
    requireText(operation, 'name', name);
    return this.#attachBy(operation, 'raw_tracepoint', (object, index) =>
      object.attachTracepoint(index, undefined, name),
    );
  }

  /** Of `SEC("iter/bpf_map_elem")`: over the elements of one map (≥ 5.9). Other iterators take `attach()`. */
  attachIterator(map: BpfMap): IterLink {
    const operation = `attach ${this.name} to a map`;
    if (!(map instanceof BpfMap)) throw argumentError(operation, 'expected a BpfMap');
    const { fd } = map;
    return this.#attachBy(operation, 'iter', (object, index) => object.attachIterator(index, fd));
  }

  /**
   * On a sockmap or sockhash: sk_msg, or sk_skb as SEC() names it (parser, verdict). From 6.10 a link; before, the program is
   * detached when the returned handle is closed, and stays on the map if the process dies.
   */
  attachSockmap(map: BpfMap): SockmapLink {
    const operation = `attach ${this.name} to sockmap`;
    const handle = this.#opened(operation);
    if (!(map instanceof BpfMap) || !['sockmap', 'sockhash'].includes(map.type)) {
      throw argumentError(operation, 'expected a sockmap or sockhash');
    }
    const attachType = this.#origin.attachType || attachTypeSockmap[this.type];
    if (attachType === undefined) throw argumentError(operation, `a ${this.type} program does not attach to a sockmap`);
    const { fd } = map;
    return this.#linked(operation, 'sockmap', () => handle.attachSockmap(fd, attachType));
  }

  /** `SEC("netfilter")`, kernel ≥ 6.4 with CONFIG_NETFILTER_BPF_LINK; smaller priorities run first. */
  attachNetfilter(options: NetfilterOptions): NetfilterLink {
    const operation = `attach ${this.name} to netfilter`;
    const handle = this.#opened(operation);
    if (!Object.hasOwn(protocolFamilies, options.family)) throw argumentError(operation, 'family must be ipv4 or ipv6');
    if (!Object.hasOwn(netfilterHooks, options.hook)) throw argumentError(operation, 'no such hook');
    const priority = requireInteger(operation, 'priority', options.priority, -0x7fff_ffff, 0x7fff_fffe);
    const family = protocolFamilies[options.family];
    const hook = netfilterHooks[options.hook];
    return this.#linked(operation, 'netfilter', () =>
      handle.attachNetfilter(family, hook, priority, options.defragment === true),
    );
  }

  #attachBy<Made extends Link>(
    operation: string,
    linkType: string,
    attach: (object: NativeObject, index: number) => NativeLink | number,
    needs?: PrivilegedAction,
  ): Made {
    this.#opened(operation);
    if (this.#origin.attach === undefined) {
      throw argumentError(operation, 'a program that was opened from a pin or by id has no object to attach it by');
    }
    return makeLinkOf<Made>(this.#origin.attach(operation, attach, needs), linkType);
  }

  #linked<Made extends Link>(
    operation: string,
    linkType: string,
    attach: () => NativeLink | number,
    needs?: PrivilegedAction,
  ): Made {
    return makeLinkOf<Made>(succeed('BPF_ATTACH', operation, attach, needs), linkType);
  }

  /** Kernel ≥ 5.9. Without a mode the driver's own is used if it has one, else the generic. */
  attachXdp(ifindex: number, options: { mode?: 'native' | 'generic' } = {}): XdpLink {
    const operation = `attach ${this.name} to interface`;
    const handle = this.#opened(operation);
    requireInteger(operation, 'ifindex', ifindex, 1, 0x7fff_ffff);
    if (options.mode !== undefined && !Object.hasOwn(xdpFlags, options.mode)) {
      throw argumentError(operation, 'mode must be native or generic');
    }
    const flags = options.mode === undefined ? 0 : xdpFlags[options.mode];
    return this.#linked(operation, 'xdp', () => handle.attachInterface(ifindex, attachTypeXdp, flags));
  }

  /** Kernel ≥ 6.6. */
  attachTcx(ifindex: number, direction: 'ingress' | 'egress'): TcxLink {
    const operation = `attach ${this.name} to interface`;
    const handle = this.#opened(operation);
    requireInteger(operation, 'ifindex', ifindex, 1, 0x7fff_ffff);
    if (!Object.hasOwn(attachTypeTcx, direction)) throw argumentError(operation, 'direction must be ingress or egress');
    const attachType = attachTypeTcx[direction];
    return this.#linked(operation, 'tcx', () => handle.attachInterface(ifindex, attachType, 0));
  }

  /** One link for one CPU (≥ 4.9). Below 5.15 the link cannot be pinned and has no id. */
  attachPerfEvent(options: PerfEventOptions): PerfEventLink {
    const operation = `attach ${this.name} to a perf event`;
    const handle = this.#opened(operation);
    const { type, config, frequencyHz, period, cpu, pid } = requirePerfEvent(operation, options);
    return this.#linked(
      operation,
      'perf_event',
      () => handle.attachPerfEvent(type, config, frequencyHz, period, cpu, pid),
      { does: 'attach', to: 'perf_event' },
    );
  }

  /** Attaches to a cgroup v2 folder, at the hook that SEC() names. Kernel ≥ 5.7. */
  attachCgroup(path: string): CgroupLink {
    return this.#attachPath(path, 'cgroup');
  }

  /** Attaches to a network namespace, such as `/proc/self/ns/net`: sk_lookup (≥ 5.9), flow_dissector (≥ 5.8). */
  attachNetns(path: string): NetnsLink {
    return this.#attachPath(path, 'netns');
  }

  #attachPath<Made extends Link>(path: string, linkType: string): Made {
    const operation = `attach ${this.name} to ${linkType} ${path}`;
    const handle = this.#opened(operation);
    requireText(operation, 'path', path);
    const attachType = this.#origin.attachType;
    if (attachType === undefined) {
      throw argumentError(operation, 'a program without its object does not know its hook');
    }
    // Programs of other types were asked for CAP_NET_ADMIN when they were loaded; these can be loaded without.
    const needs = this.type === 'cgroup_skb' ? ({ does: 'attach', to: 'cgroup_skb' } as const) : undefined;
    return this.#linked(operation, linkType, () => handle.attachPath(path, attachType), needs);
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

  /**
   * Runs the program without attaching it (BPF_PROG_TEST_RUN, ≥ 4.12): XDP, socket filter, cls/act, lwt, cgroup_skb, raw_tp,
   * flow dissector, sk_lookup, netfilter, syscall. Of other types the kernel says ENOTSUPP.
   */
  testRun(options: TestRunOptions): TestRunResult {
    const operation = `test run ${this.name}`;
    const handle = this.#opened(operation);
    const run = requireTestRun(operation, this.type, options);
    return succeed('BPF_PROGRAM', operation, () => handle.testRun(run));
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
