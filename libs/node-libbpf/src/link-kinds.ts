import { requireInteger } from './arguments.js';
import { argumentError, attempt, LibbpfError, succeed, unsupportedError } from './errors.js';
import { errnoName } from './errno.js';
import type { LinkInfo, LinkInfoOf } from './link-info.js';
import { Link, makeLink, registerLinkClasses } from './link.js';
import type { NativeLink } from './native.js';
import type { Program } from './program.js';

const iteratorBytesMax = 64 << 20;

/** raw_tp and tp_btf. */
export class RawTracepointLink extends Link<LinkInfoOf<'raw_tracepoint'>> {}

/** fentry, fexit, fmod_ret, LSM (but lsm_cgroup, which is a cgroup link) and freplace. */
export class TracingLink extends Link<LinkInfoOf<'tracing'>> {}

/** One perf event: a tracepoint, kprobe, kretprobe, uprobe, uretprobe, or a sample of one CPU. */
export class PerfEventLink extends Link<LinkInfoOf<'perf_event'>> {}

export class KprobeMultiLink extends Link<LinkInfoOf<'kprobe_multi'>> {}

export class UprobeMultiLink extends Link<LinkInfoOf<'uprobe_multi'>> {}

export class NetfilterLink extends Link<LinkInfoOf<'netfilter'>> {}

/**
 * All places of one USDT. libbpf makes it of several perf links, or of one uprobe_multi link, and keeps them to itself: it has
 * no id, cannot be pinned, and ends with the process.
 */
export class UsdtLink extends Link {
  protected override whyUnpinnable(): string {
    return 'libbpf keeps the links of a USDT to itself; pin a uprobe instead';
  }
}

/** A link whose program the kernel swaps in one step. */
export class UpdatableLink<Info extends LinkInfo = LinkInfo> extends Link<Info> {
  override update(program: Program, options: { replaces?: Program } = {}): void {
    const operation = `update ${this.type} link`;
    const handle = this.opened(operation);
    const fdOf = (name: string, value: Program | undefined) =>
      requireInteger(operation, name, value?.fd, 0, 0x7fff_ffff);
    const fd = fdOf('program.fd', program);
    const replaces = options.replaces === undefined ? undefined : fdOf('replaces.fd', options.replaces);
    attempt('BPF_LINK', operation, () => handle.update(fd, replaces));
  }
}

export class XdpLink extends UpdatableLink<LinkInfoOf<'xdp'>> {}

export class TcxLink extends UpdatableLink<LinkInfoOf<'tcx'>> {}

export class NetkitLink extends UpdatableLink<LinkInfoOf<'netkit'>> {}

export class CgroupLink extends UpdatableLink<LinkInfoOf<'cgroup'>> {}

/** sk_lookup and the flow dissector. */
export class NetnsLink extends UpdatableLink<LinkInfoOf<'netns'>> {}

/** From 6.10. Before, what attachSockmap() returns is no link of the kernel's: no id, no pin, no update. */
export class SockmapLink extends UpdatableLink<LinkInfoOf<'sockmap'>> {
  override update(program: Program, options: { replaces?: Program } = {}): void {
    if (this.id === undefined) {
      this.opened('update sockmap link');
      throw unsupportedError('update sockmap link', 'this kernel has no links on sockmaps (they came with 6.10)');
    }
    super.update(program, options);
  }

  protected override whyUnpinnable(): string {
    return 'this kernel has no links on sockmaps (they came with 6.10)';
  }
}

/**
 * A registered struct_ops map. It is a link of the kernel's for `SEC(".struct_ops.link")` (≥ 6.4), which
 * `BpfObject.updateStructOps` moves to another such map; for `SEC(".struct_ops")` it has no id, no pin and no update.
 */
export class StructOpsLink extends Link<LinkInfoOf<'struct_ops'>> {
  override update(): void {
    this.opened('update struct_ops link');
    throw unsupportedError('update struct_ops link', 'it holds a map, not a program: use BpfObject.updateStructOps');
  }

  /** @internal libbpf fills the map before it moves the link. */
  updateMap(operation: string, update: (handle: NativeLink) => number): void {
    const handle = this.opened(operation);
    if (this.id === undefined) throw argumentError(operation, this.whyUnpinnable());
    attempt('BPF_LINK', operation, () => update(handle));
  }

  protected override whyUnpinnable(): string {
    return 'expected the link of a struct_ops map of SEC(".struct_ops.link") (kernel 6.4)';
  }
}

/** An iterator: what its program prints is read, as often as one likes. */
export class IterLink extends UpdatableLink<LinkInfoOf<'iter'>> {
  /** What the program prints in one walk, cut at `bytesMax` bytes (1 MiB unless told). */
  override readIterator(options: { bytesMax?: number } = {}): Buffer {
    const operation = 'read iterator';
    const handle = this.opened(operation);
    const bytesMax = requireInteger(operation, 'bytesMax', options.bytesMax ?? 1 << 20, 1, iteratorBytesMax);
    return succeed('BPF_LINK', operation, () => handle.readIterator(bytesMax));
  }

  /**
   * One walk as a stream of Buffers of at most `chunkBytes`, without bound on the whole. The event loop gets a turn between
   * two chunks; leaving the loop ends the walk.
   */
  override async *iterate(options: { chunkBytes?: number } = {}): AsyncGenerator<Buffer, void, undefined> {
    const operation = 'read iterator';
    const chunkBytes = requireInteger(operation, 'chunkBytes', options.chunkBytes ?? 64 << 10, 1, iteratorBytesMax);
    const handle = this.opened(operation);
    const walk = succeed('BPF_LINK', operation, () => handle.openIterator());
    try {
      for (;;) {
        const chunk = Buffer.allocUnsafe(chunkBytes);
        const got = walk.read(chunk);
        if (got === 0) return;
        // The kernel pauses a long walk with EAGAIN, for whoever else wants the CPU.
        if (got < 0 && !['EAGAIN', 'EINTR'].includes(errnoName(-got))) {
          throw new LibbpfError('BPF_LINK', operation, -got);
        }
        if (got > 0) yield chunk.subarray(0, got);
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
    } finally {
      walk.close();
    }
  }
}

registerLinkClasses({
  raw_tracepoint: RawTracepointLink,
  tracing: TracingLink,
  perf_event: PerfEventLink,
  kprobe_multi: KprobeMultiLink,
  uprobe_multi: UprobeMultiLink,
  netfilter: NetfilterLink,
  usdt: UsdtLink,
  xdp: XdpLink,
  tcx: TcxLink,
  netkit: NetkitLink,
  cgroup: CgroupLink,
  netns: NetnsLink,
  sockmap: SockmapLink,
  struct_ops: StructOpsLink,
  iter: IterLink,
});

/** @internal `attachedAs` is its type where the kernel has no link object to ask. */
export function makeLinkOf<Made extends Link>(handle: NativeLink, attachedAs: string): Made {
  return makeLink(handle, attachedAs) as Made;
}

/** What the kernel can do with a link of a type, and since when. */
export interface LinkTypeFacts {
  /** The kernel that has links of this type, which can then be pinned. */
  since: string;
  /** The kernel that can swap the program in place (BPF_LINK_UPDATE). */
  updatableSince?: string;
  /** The kernel that can detach while others hold the link (BPF_LINK_DETACH). */
  detachableSince?: string;
}

/** By LinkInfo's type. What has no `updatableSince` refuses update() with BPF_UNSUPPORTED. */
export const linkTypes = {
  raw_tracepoint: { since: '5.7' },
  tracing: { since: '5.7' },
  cgroup: { since: '5.7', updatableSince: '5.7', detachableSince: '5.9' },
  iter: { since: '5.8', updatableSince: '5.8' },
  netns: { since: '5.8', updatableSince: '5.8', detachableSince: '5.9' },
  xdp: { since: '5.9', updatableSince: '5.9', detachableSince: '5.9' },
  perf_event: { since: '5.15' },
  kprobe_multi: { since: '5.18' },
  struct_ops: { since: '6.4', updatableSince: '6.4', detachableSince: '6.11' },
  netfilter: { since: '6.4', detachableSince: '6.4' },
  tcx: { since: '6.6', updatableSince: '6.6', detachableSince: '6.6' },
  uprobe_multi: { since: '6.6' },
  netkit: { since: '6.7', updatableSince: '6.7', detachableSince: '6.7' },
  sockmap: { since: '6.10', updatableSince: '6.10', detachableSince: '6.10' },
} as const satisfies Record<string, LinkTypeFacts>;
