import { requireBuffer, requireInteger, requireText } from './arguments.js';
import { attempt, closedError, LibbpfError, succeed } from './errors.js';
import { errnoName } from './errno.js';
import type { NativeMap } from './native.js';
import { native } from './native.js';
import { removePin } from './pin.js';

// Node's Buffers end at 4 GiB or more, but no reader wants to wait for one.
const readAllBytesMax = 1 << 30;

export interface MapEntries {
  count: number;
  /** `count` keys of `keyBytes` bytes, one after the other. */
  keys: Buffer;
  /** `count` values of `valueBufferBytes` bytes, in the order of the keys. */
  values: Buffer;
  /** More entries exist than were asked for. */
  truncated: boolean;
}

/** A map. Keys and values are raw bytes in the byte order of this machine. */
export class BpfMap {
  readonly name: string;
  readonly type: string;
  readonly id: number;
  readonly keyBytes: number;
  /** Size of one value; for per-CPU maps, of one CPU's value without its padding. */
  readonly valueBytes: number;
  readonly maxEntries: number;
  readonly flags: number;
  readonly perCpu: boolean;
  /** Size of a value Buffer: valueBytes, or for per-CPU maps valueBytes rounded up to 8, times possibleCpus(). */
  readonly valueBufferBytes: number;
  #native: NativeMap | undefined;
  #pinPath: string | undefined;

  /** @internal */
  constructor(handle: NativeMap, name?: string, pinPath?: string) {
    const info = handle.info();
    this.#native = handle;
    this.#pinPath = pinPath;
    this.name = name ?? info.name;
    this.type = info.type;
    this.id = info.id;
    this.keyBytes = info.keyBytes;
    this.valueBytes = info.valueBytes;
    this.maxEntries = info.maxEntries;
    this.flags = info.flags;
    this.perCpu = info.perCpu;
    this.valueBufferBytes = info.valueBufferBytes;
  }

  /** Opens a pinned map; its name is what the kernel kept of it (15 bytes). */
  static openPinned(path: string): BpfMap {
    const operation = `open pinned map ${path}`;
    requireText(operation, 'path', path);
    return new BpfMap(
      succeed('BPF_PIN', operation, () => native.openPinned(path, 'map')),
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

  get pinPath(): string | undefined {
    return this.#pinPath;
  }

  /** The value, or undefined when there is none. For queues and stacks the key is an empty Buffer and the value is peeked. */
  lookup(key: Buffer): Buffer | undefined {
    const operation = `look up in ${this.name}`;
    const handle = this.#opened(operation);
    requireBuffer(operation, 'key', key, this.keyBytes);
    const value = Buffer.alloc(this.valueBufferBytes);
    return this.#found(operation, handle.lookup(key, value)) ? value : undefined;
  }

  /** Flags: 0 any, 1 only new (BPF_NOEXIST), 2 only existing (BPF_EXIST). */
  update(key: Buffer, value: Buffer, flags = 0): void {
    const operation = `update ${this.name}`;
    const handle = this.#opened(operation);
    requireBuffer(operation, 'key', key, this.keyBytes);
    requireBuffer(operation, 'value', value, this.valueBufferBytes);
    requireInteger(operation, 'flags', flags, 0, 0xffff_ffff);
    attempt('BPF_MAP', operation, () => handle.update(key, value, flags));
  }

  /** Whether there was an entry. */
  delete(key: Buffer): boolean {
    const operation = `delete from ${this.name}`;
    const handle = this.#opened(operation);
    requireBuffer(operation, 'key', key, this.keyBytes);
    return this.#found(operation, handle.delete(key));
  }

  /** The key after this one, or the first; undefined at the end. A key that is gone meanwhile leads to the first again. */
  nextKey(key?: Buffer): Buffer | undefined {
    const operation = `next key of ${this.name}`;
    const handle = this.#opened(operation);
    if (key !== undefined) requireBuffer(operation, 'key', key, this.keyBytes);
    const next = Buffer.alloc(this.keyBytes);
    return this.#found(operation, handle.nextKey(key, next)) ? next : undefined;
  }

  /**
   * One pass over the map: in batches (BPF_MAP_LOOKUP_BATCH, ≥ 5.6), key by key where the kernel or the type has none. Under
   * concurrent writers an entry may be missed, and key by key one may be met twice.
   */
  readAll(options: { entriesMax?: number } = {}): MapEntries {
    const operation = `read all of ${this.name}`;
    const handle = this.#opened(operation);
    const wanted = requireInteger(operation, 'entriesMax', options.entriesMax ?? this.maxEntries, 1, 0xffff_ffff);
    const entryBytes = this.keyBytes + this.valueBufferBytes;
    const entries = Math.max(
      1,
      Math.min(wanted, this.maxEntries, Math.floor(readAllBytesMax / Math.max(1, entryBytes))),
    );
    const keys = Buffer.allocUnsafeSlow(entries * this.keyBytes);
    const values = Buffer.allocUnsafeSlow(entries * this.valueBufferBytes);
    const { count, ended } = succeed('BPF_MAP', operation, () => handle.readAll(keys, values));
    return {
      count,
      keys: keys.subarray(0, count * this.keyBytes),
      values: values.subarray(0, count * this.valueBufferBytes),
      truncated: !ended && count < this.maxEntries,
    };
  }

  /** Pins into a bpffs. The map then outlives this process. */
  pin(path: string): void {
    const operation = `pin map ${this.name} at ${path}`;
    const handle = this.#opened(operation);
    requireText(operation, 'path', path);
    attempt('BPF_PIN', operation, () => handle.pin(path));
    this.#pinPath = path;
  }

  /** Removes the pin that this handle made or was opened from. */
  unpin(): void {
    this.#opened('unpin');
    this.#pinPath = removePin(`map ${this.name}`, this.#pinPath);
  }

  /** Idempotent. */
  close(): void {
    this.#native?.close();
    this.#native = undefined;
  }

  #found(operation: string, result: number): boolean {
    if (result === 0) return true;
    if (errnoName(-result) === 'ENOENT') return false;
    throw new LibbpfError('BPF_MAP', operation, -result);
  }

  #opened(operation: string): NativeMap {
    if (this.#native === undefined) throw closedError(`${operation} (map ${this.name})`);
    return this.#native;
  }
}
