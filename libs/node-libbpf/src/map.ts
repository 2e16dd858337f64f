import type { BtfValue } from '@bpfleet/btf';
import { requireBuffer, requireInteger, requireText } from './arguments.js';
import type { MapTypes, TypeCodec } from './btf-types.js';
import { mapCodec, typesInKernel } from './btf-types.js';
import type { Codec } from './codec.js';
import { argumentError, attempt, closedError, LibbpfError, succeed } from './errors.js';
import { errnoName } from './errno.js';
import type { MapInfo, NativeMap } from './native.js';
import { native } from './native.js';
import { openHandleById } from './open-by-id.js';
import { removePin } from './pin.js';
import { TypedMap } from './typed-map.js';

// Node's Buffers end at 4 GiB or more, but no reader wants to wait for one.
// As native/map.cc counts the ways of a walk.
const walkInBatches = 1;
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

/** A piece of a walk: `count` keys and values, one after the other, in Buffers that belong to the receiver. */
export interface MapChunk {
  count: number;
  keys: Buffer;
  values: Buffer;
}

export interface MapCreation {
  /** libbpf's name of the type: `hash`, `array`, `bloom_filter`, … */
  type: string;
  /** At most 15 bytes are kept by the kernel. */
  name?: string;
  keyBytes: number;
  valueBytes: number;
  maxEntries: number;
  /** BPF_F_*. */
  flags?: number;
  /** Bloom filters: how many hash functions (≥ 5.16). */
  extra?: number;
  /** For maps of maps: a map like those that will be put in. */
  inner?: BpfMap;
}

/** @internal What a map knows when it comes from an object or a pin. */
export interface MapOrigin {
  name?: string | undefined;
  pinPath?: string | undefined;
  /** The types that its object declares. */
  types?: () => MapTypes | undefined;
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
  readonly #types: () => MapTypes | undefined;
  #native: NativeMap | undefined;
  #pinPath: string | undefined;

  /** @internal */
  constructor(handle: NativeMap, origin: MapOrigin = {}) {
    const info: MapInfo = handle.info();
    this.#native = handle;
    this.#pinPath = origin.pinPath;
    this.#types = origin.types ?? (() => typesInKernel(info));
    this.name = origin.name ?? info.name;
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
      { pinPath: path },
    );
  }

  /** Any map of the system (≥ 4.13; needs CAP_SYS_ADMIN); undefined when it is gone. */
  static openById(id: number): BpfMap | undefined {
    const handle = openHandleById(`open map ${id}`, id, () => native.openById('map', id));
    return handle === undefined ? undefined : new BpfMap(handle);
  }

  /** A map that no object describes, such as an inner map. It has no BTF. */
  static create(options: MapCreation): BpfMap {
    const name = options.name ?? '';
    const operation = `create map ${name}`;
    requireText(operation, 'type', options.type);
    if (name !== '') requireText(operation, 'name', name);
    const size = (field: string, value: number | undefined) =>
      requireInteger(operation, field, value ?? 0, 0, 0xffff_ffff);
    const keyBytes = size('keyBytes', options.keyBytes);
    const valueBytes = size('valueBytes', options.valueBytes);
    const maxEntries = size('maxEntries', options.maxEntries);
    const flags = size('flags', options.flags);
    const extra = size('extra', options.extra);
    const inner = options.inner?.fd ?? -1;
    const handle = succeed(
      'BPF_MAP',
      operation,
      () => native.createMap(options.type, name.slice(0, 15), keyBytes, valueBytes, maxEntries, flags, extra, inner),
      { does: 'create_map', mapType: options.type },
    );
    return new BpfMap(handle, { name: name === '' ? undefined : name });
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

  /** Whether this kernel gives such a map in batches, as readAll() and chunks() then read it; found by reading one entry. */
  readsInBatches(): boolean {
    const operation = `ask ${this.name} for a batch`;
    const handle = this.#opened(operation);
    const [key, value] = [Buffer.alloc(this.keyBytes), Buffer.alloc(this.valueBufferBytes)];
    const result = handle.readChunk(key, value, Buffer.alloc(Math.max(8, this.keyBytes)), 0);
    if (typeof result !== 'number') return result.walk === walkInBatches;
    // One bucket of the hash holds more than one entry, or these are no keys and values at all.
    if (errnoName(-result) === 'ENOSPC') return true;
    if (errnoName(-result) === 'EOPNOTSUPP') return false;
    throw new LibbpfError('BPF_MAP', operation, -result);
  }

  /**
   * The whole map in chunks of at most `chunkEntries`, with a turn of the event loop between two; in batches or key by key as
   * readAll. Key by key a deletion under the walk can send it back to the start, so it ends after twice `maxEntries`.
   */
  async *chunks(options: { chunkEntries?: number } = {}): AsyncGenerator<MapChunk, void, undefined> {
    const operation = `walk ${this.name}`;
    let chunkEntries = requireInteger(operation, 'chunkEntries', options.chunkEntries ?? 1024, 1, 1 << 20);
    const token = Buffer.alloc(Math.max(8, this.keyBytes));
    let walk = 0;
    for (let met = 0; met <= 2 * this.maxEntries;) {
      const keys = Buffer.allocUnsafeSlow(chunkEntries * this.keyBytes);
      const values = Buffer.allocUnsafeSlow(chunkEntries * this.valueBufferBytes);
      const result = this.#opened(operation).readChunk(keys, values, token, walk);
      if (typeof result === 'number') {
        // The kernel gives whole hash buckets only: one of them is larger than the chunk.
        if (errnoName(-result) !== 'ENOSPC' || chunkEntries > this.maxEntries) {
          throw new LibbpfError('BPF_MAP', operation, -result);
        }
        chunkEntries *= 2;
        continue;
      }
      const { count } = result;
      if (count > 0) {
        yield {
          count,
          keys: keys.subarray(0, count * this.keyBytes),
          values: values.subarray(0, count * this.valueBufferBytes),
        };
      }
      if (result.ended) return;
      walk = result.walk;
      met += count;
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }

  /**
   * Writes many entries, laid out as readAll gives them: in one call (BPF_MAP_UPDATE_BATCH, ≥ 5.6), one by one where kernel or type has none.
   * Throws BPF_MAP at the first refused entry, and says how many were written before it. Flags as for update().
   */
  updateMany(keys: Buffer, values: Buffer, flags = 0): void {
    const operation = `update ${this.name}`;
    const handle = this.#opened(operation);
    const count = this.#entriesIn(operation, keys);
    requireBuffer(operation, 'values', values, count * this.valueBufferBytes);
    requireInteger(operation, 'flags', flags, 0, 0xffff_ffff);
    const done = handle.updateBatch(keys, values, flags);
    if (done.error < 0) {
      throw new LibbpfError('BPF_MAP', operation, -done.error, `after ${done.count} of ${count} entries`);
    }
  }

  /** Deletes many keys, one after the other in a Buffer; returns how many of them were there. */
  deleteMany(keys: Buffer): number {
    const operation = `delete from ${this.name}`;
    const handle = this.#opened(operation);
    const count = this.#entriesIn(operation, keys);
    const done = handle.deleteBatch(keys);
    if (done.error < 0)
      throw new LibbpfError('BPF_MAP', operation, -done.error, `after ${done.count} of ${count} keys`);
    return done.count;
  }

  /** The value, taken out in one step; undefined when there is none. Queues and stacks (≥ 4.20), hashes (≥ 5.14). */
  take(key: Buffer): Buffer | undefined {
    const operation = `take from ${this.name}`;
    const handle = this.#opened(operation);
    requireBuffer(operation, 'key', key, this.keyBytes);
    const value = Buffer.alloc(this.valueBufferBytes);
    return this.#found(operation, handle.lookupAndDelete(key, value)) ? value : undefined;
  }

  /** Whether a bloom filter may have this value (≥ 5.16). */
  mayContain(value: Buffer): boolean {
    const operation = `ask ${this.name}`;
    const handle = this.#opened(operation);
    if (this.type !== 'bloom_filter') throw argumentError(operation, `a ${this.type} map is not a bloom filter`);
    requireBuffer(operation, 'value', value, this.valueBufferBytes);
    return this.#found(operation, handle.lookup(Buffer.alloc(0), value));
  }

  /** No more writes from user space (≥ 5.2); programs can still write, unless the map is BPF_F_RDONLY_PROG. */
  freeze(): void {
    const operation = `freeze ${this.name}`;
    const handle = this.#opened(operation);
    attempt('BPF_MAP', operation, () => handle.freeze());
  }

  /**
   * The memory of an array that was made with BPF_F_MMAPABLE (≥ 5.5): values at multiples of valueBytes rounded up to 8. The
   * Buffer is the map, for programs too, and stays valid after close(). A frozen array cannot be mapped (EPERM), and one that
   * is mapped cannot be frozen (EBUSY) until the garbage collector has taken the Buffer.
   */
  mmap(): Buffer {
    const operation = `map ${this.name}`;
    const handle = this.#opened(operation);
    return succeed('BPF_MAP', operation, () => handle.mmap());
  }

  /**
   * A view with keys and values as JavaScript values, by the BTF of the map (see keyCodec) or by the caller's own codecs. It
   * is made of compiled code, so make it once and not for each value.
   * Throws BPF_BTF for a map without types, BPF_ARGUMENT when a codec has another size than the map.
   */
  typed<Key = BtfValue, Value = BtfValue>(
    codecs: { key?: Codec<Key>; value?: Codec<Value> } = {},
  ): TypedMap<Key, Value> {
    this.#opened('view');
    const key = codecs.key ?? this.keyCodec<Key>();
    return new TypedMap(this, { key, value: codecs.value ?? this.valueCodec<Value>() });
  }

  /**
   * The codec of a key, from the BTF of the object that the map came from, or of a pinned map from the kernel's (≥ 4.18;
   * needs CAP_SYS_ADMIN). Structs are objects, 64-bit integers bigint, char arrays text, enums their names. `Key` is the
   * caller's word: values are checked against BTF when they are written. Throws BPF_BTF for a map without types.
   */
  keyCodec<Key = BtfValue>(): TypeCodec<Key> {
    this.#opened('type');
    return mapCodec<Key>(this, 'key', this.#types());
  }

  /** The codec of a value, as keyCodec; of a per-CPU map it is an array, one value for each possible CPU. */
  valueCodec<Value = BtfValue>(): TypeCodec<Value> {
    this.#opened('type');
    return mapCodec<Value>(this, 'value', this.#types());
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

  #entriesIn(operation: string, keys: Buffer): number {
    requireBuffer(operation, 'keys', keys);
    if (this.keyBytes === 0 || keys.length % this.keyBytes !== 0) {
      throw argumentError(operation, `keys must be a multiple of ${this.keyBytes} bytes`);
    }
    return keys.length / this.keyBytes;
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
