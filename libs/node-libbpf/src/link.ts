import { requireInteger, requireText } from './arguments.js';
import { errnoName } from './errno.js';
import { argumentError, attempt, closedError, LibbpfError, succeed } from './errors.js';
import type { LinkInfo, NativeLink } from './native.js';
import { native } from './native.js';
import { removePin } from './pin.js';
import type { Program } from './program.js';

const iteratorBytesMax = 64 << 20;

/**
 * What keeps a program attached. Closing an unpinned link detaches; closing a pinned one leaves it attached. A link that is
 * dropped to the garbage collector is closed.
 */
export class Link {
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

  /** Adopts a pinned link; the program goes on as it was. */
  static openPinned(path: string): Link {
    const operation = `open pinned link ${path}`;
    requireText(operation, 'path', path);
    const handle = succeed('BPF_PIN', operation, () => native.openPinned(path, 'link'));
    return new Link(handle, 'unknown', path);
  }

  get closed(): boolean {
    return this.#native === undefined;
  }

  get pinPath(): string | undefined {
    return this.#pinPath;
  }

  /** Throws BPF_LINK with EINVAL where there is no link object (see `id`). */
  info(): LinkInfo {
    const handle = this.#opened('info');
    return succeed('BPF_LINK', 'link info', () => handle.info());
  }

  /** Pins into a bpffs. Perf-based links (tracepoint, kprobe, uprobe, perf_event) need kernel ≥ 5.15. */
  pin(path: string): void {
    const operation = `pin ${this.type} link at ${path}`;
    const handle = this.#opened(operation);
    requireText(operation, 'path', path);
    attempt('BPF_PIN', operation, () => handle.pin(path));
    this.#pinPath = path;
  }

  /** Removes the pin that this handle made or was opened from; attached as long as this handle is open. */
  unpin(): void {
    const handle = this.#opened('unpin');
    this.#pinPath = removePin(`${this.type} link`, this.#pinPath);
    handle.setPinned(false);
  }

  /**
   * Swaps the program atomically: XDP, TCX, cgroup, netns, iter, sockmap. Perf-based, raw_tp and tracing links give EINVAL.
   * With `replaces` only if that program is the one attached now, else BPF_LINK with EPERM.
   */
  update(program: Program, options: { replaces?: Program } = {}): void {
    const operation = `update ${this.type} link`;
    const handle = this.#opened(operation);
    const fdOf = (name: string, value: Program | undefined) =>
      requireInteger(operation, name, value?.fd, 0, 0x7fff_ffff);
    const fd = fdOf('program.fd', program);
    const replaces = options.replaces === undefined ? undefined : fdOf('replaces.fd', options.replaces);
    attempt('BPF_LINK', operation, () => handle.update(fd, replaces));
  }

  /** @internal For struct_ops, whose links hold maps. */
  updateMap(operation: string, update: (handle: NativeLink) => number): void {
    const handle = this.#opened(operation);
    if (this.type !== 'struct_ops' || this.id === undefined) {
      throw argumentError(operation, 'expected the link of a struct_ops map of SEC(".struct_ops.link")');
    }
    attempt('BPF_LINK', operation, () => update(handle));
  }

  /**
   * Detaches, removes the pin, and closes. Where the link type knows BPF_LINK_DETACH (≥ 5.9: XDP, cgroup, netns) the program
   * is off even if someone else still holds the link; for the others it is off when the last holder lets go.
   */
  detach(): void {
    const handle = this.#opened('detach');
    if (this.#pinPath !== undefined) this.unpin();
    const result = handle.detach();
    this.close();
    const error = result < 0 ? new LibbpfError('BPF_LINK', `detach ${this.type} link`, -result) : undefined;
    if (error !== undefined && !['EOPNOTSUPP', 'EINVAL', 'ENOTSUPP'].includes(error.errnoName)) throw error;
  }

  /** What an iterator program prints in one walk, cut at `bytesMax` bytes. Only for links of `iter/…` programs (≥ 5.8). */
  readIterator(options: { bytesMax?: number } = {}): Buffer {
    const operation = 'read iterator';
    const handle = this.#opened(operation);
    const bytesMax = requireInteger(operation, 'bytesMax', options.bytesMax ?? 1 << 20, 1, iteratorBytesMax);
    return succeed('BPF_LINK', operation, () => handle.readIterator(bytesMax));
  }

  /**
   * One walk of an iterator program as a stream of Buffers of at most `chunkBytes`, without bound on the whole. The event
   * loop gets a turn between two chunks; leaving the loop ends the walk.
   */
  async *iterate(options: { chunkBytes?: number } = {}): AsyncGenerator<Buffer, void, undefined> {
    const operation = 'read iterator';
    const chunkBytes = requireInteger(operation, 'chunkBytes', options.chunkBytes ?? 64 << 10, 1, iteratorBytesMax);
    const handle = this.#opened(operation);
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

  /** Idempotent. Detaches unless pinned. */
  close(): void {
    this.#native?.close();
    this.#native = undefined;
  }

  #opened(operation: string): NativeLink {
    if (this.#native === undefined) throw closedError(`${operation} (${this.type} link)`);
    return this.#native;
  }
}
