import { requireText } from './arguments.js';
import { attempt, closedError, LibbpfError, succeed, unsupportedError } from './errors.js';
import type { LinkInfo } from './link-info.js';
import { decodeLinkInfo } from './link-info.js';
import type { NativeLink } from './native.js';
import { native } from './native.js';
import { openHandleById } from './open-by-id.js';
import { removePin } from './pin.js';
import type { Program } from './program.js';

type LinkClass = new (handle: NativeLink, attachedAs: string, pinPath?: string) => Link;

const classes = new Map<string, LinkClass>();

/** @internal link-kinds.ts names the class of each type; here, a base that knows its heirs would be a cycle of imports. */
export function registerLinkClasses(byType: Record<string, LinkClass>): void {
  for (const [type, linkClass] of Object.entries(byType)) classes.set(type, linkClass);
}

/**
 * What keeps a program attached. Closing an unpinned link detaches; closing a pinned one leaves it attached. A link that is
 * dropped to the garbage collector is closed. Each link type has a class of its own (link-kinds.ts); what a type cannot do
 * throws BPF_UNSUPPORTED.
 */
export class Link<Info extends LinkInfo = LinkInfo> {
  /** Undefined where the kernel has no link object for this attachment (perf events below 5.15). */
  readonly id: number | undefined;
  readonly type: string;
  #native: NativeLink | undefined;
  #pinPath: string | undefined;

  /** @internal */
  constructor(handle: NativeLink, attachedAs: string, pinPath?: string) {
    const info = handle.info();
    this.id = typeof info === 'number' ? undefined : info.id;
    this.type = typeof info === 'number' ? attachedAs : info.type;
    this.#native = handle;
    this.#pinPath = pinPath;
    if (pinPath !== undefined) handle.setPinned(true);
  }

  /** Adopts a pinned link, as the class of its type; the program goes on as it was. */
  static openPinned(path: string): Link {
    const operation = `open pinned link ${path}`;
    requireText(operation, 'path', path);
    const handle = succeed('BPF_PIN', operation, () => native.openPinned(path, 'link'));
    return makeLink(handle, 'unknown', path);
  }

  /** Any link of the system (≥ 5.8; needs CAP_SYS_ADMIN). Undefined when it is gone. Closing does not detach it. */
  static openById(id: number): Link | undefined {
    const handle = openHandleById(`open link ${id}`, id, () => native.openById('link', id));
    return handle === undefined ? undefined : makeLink(handle, 'unknown');
  }

  get closed(): boolean {
    return this.#native === undefined;
  }

  get pinPath(): string | undefined {
    return this.#pinPath;
  }

  /** Throws BPF_UNSUPPORTED where there is no link object (see `id`). */
  info(): Info {
    const operation = `info of ${this.type} link`;
    const handle = this.opened(operation);
    if (this.id === undefined) throw unsupportedError(operation, this.whyUnpinnable());
    const facts = succeed('BPF_LINK', operation, () => handle.info());
    return decodeLinkInfo(facts) as Info;
  }

  /** Pins into a bpffs. Perf-based links (tracepoint, kprobe, uprobe, perf_event) need kernel ≥ 5.15. */
  pin(path: string): void {
    const operation = `pin ${this.type} link at ${path}`;
    const handle = this.opened(operation);
    requireText(operation, 'path', path);
    if (this.id === undefined) throw unsupportedError(operation, this.whyUnpinnable());
    attempt('BPF_PIN', operation, () => handle.pin(path));
    this.#pinPath = path;
  }

  /** Removes the pin that this handle made or was opened from; attached as long as this handle is open. */
  unpin(): void {
    const handle = this.opened('unpin');
    this.#pinPath = removePin(`${this.type} link`, this.#pinPath);
    handle.setPinned(false);
  }

  /**
   * Swaps what is attached, atomically, where the kernel has that for the type (`linkTypes`); else BPF_UNSUPPORTED. With
   * `replaces` only if that program is the one attached now, else BPF_LINK with EPERM. For struct_ops see `BpfObject.updateStructOps`.
   */
  update(_program: Program, _options: { replaces?: Program } = {}): void {
    const operation = `update ${this.type} link`;
    this.opened(operation);
    const advice = 'such a link keeps the program that it was made with: attach the new one, then close this link';
    throw unsupportedError(operation, advice);
  }

  /**
   * Detaches, removes the pin, and closes. Where the link type knows BPF_LINK_DETACH (≥ 5.9: XDP, cgroup, netns) the program
   * is off even if someone else still holds the link; for the others it is off when the last holder lets go. A pin is such a
   * holder until an RCU grace period after it was removed: milliseconds.
   */
  detach(): void {
    const handle = this.opened('detach');
    if (this.#pinPath !== undefined) this.unpin();
    const result = handle.detach();
    this.close();
    const error = result < 0 ? new LibbpfError('BPF_LINK', `detach ${this.type} link`, -result) : undefined;
    if (error !== undefined && !['EOPNOTSUPP', 'EINVAL', 'ENOTSUPP'].includes(error.errnoName)) throw error;
  }

  /** As IterLink; BPF_UNSUPPORTED for every other type. */
  readIterator(_options: { bytesMax?: number } = {}): Buffer {
    this.opened('read iterator');
    throw unsupportedError('read iterator', `a ${this.type} link is none`);
  }

  /** As IterLink; BPF_UNSUPPORTED for every other type. */
  iterate(_options: { chunkBytes?: number } = {}): AsyncGenerator<Buffer, void, undefined> {
    this.opened('read iterator');
    throw unsupportedError('read iterator', `a ${this.type} link is none`);
  }

  /** Idempotent. Detaches unless pinned. */
  close(): void {
    this.#native?.close();
    this.#native = undefined;
  }

  /** @internal */
  protected opened(operation: string): NativeLink {
    if (this.#native === undefined) throw closedError(`${operation} (${this.type} link)`);
    return this.#native;
  }

  /** @internal */
  protected whyUnpinnable(): string {
    return 'this kernel has no link object for it (perf links came with 5.15)';
  }
}

/** @internal */
export function makeLink(handle: NativeLink, attachedAs: string, pinPath?: string): Link {
  const info = handle.info();
  const LinkOfType = classes.get(typeof info === 'number' ? attachedAs : info.type) ?? Link;
  return new LinkOfType(handle, attachedAs, pinPath);
}
