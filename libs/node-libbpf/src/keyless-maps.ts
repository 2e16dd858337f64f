import type { Codec } from './codec.js';
import { fromBytes, requireCodec, toBytes } from './codec.js';
import { argumentError, LibbpfError } from './errors.js';
import { BpfMap } from './map.js';

const noKey = Buffer.alloc(0);
// BPF_EXIST: make room by dropping the oldest.
const dropOldest = 2;

/** A BPF_MAP_TYPE_QUEUE (first in, first out) or BPF_MAP_TYPE_STACK (last in, first out), kernel ≥ 4.20. */
export class MapQueue<Value = Buffer> {
  readonly map: BpfMap;
  readonly #value: Codec<Value> | undefined;

  /** Without a codec (`map.valueCodec()`), values are their bytes. */
  constructor(map: BpfMap, value?: Codec<Value>) {
    const fits = map instanceof BpfMap && ['queue', 'stack'].includes(map.type);
    if (!fits) throw argumentError('open a queue', 'expected a BpfMap of type queue or stack');
    this.map = map;
    this.#value = value && requireCodec(`view ${map.name}`, 'value', value, map.valueBufferBytes);
  }

  /** False when it is full. With `overwrite` the oldest value makes room. */
  push(value: Value, options: { overwrite?: boolean } = {}): boolean {
    const bytes = toBytes(this.#value, value);
    return fitted(() => this.map.update(noKey, bytes, options.overwrite === true ? dropOldest : 0));
  }

  pop(): Value | undefined {
    return fromBytes(this.#value, this.map.take(noKey));
  }

  peek(): Value | undefined {
    return fromBytes(this.#value, this.map.lookup(noKey));
  }
}

/** A BPF_MAP_TYPE_BLOOM_FILTER (≥ 5.16): has() may be true for what was never added, and is never false for what was. */
export class BloomFilter<Value = Buffer> {
  readonly map: BpfMap;
  readonly #value: Codec<Value> | undefined;

  /** Without a codec (`map.valueCodec()`), values are their bytes. */
  constructor(map: BpfMap, value?: Codec<Value>) {
    const fits = map instanceof BpfMap && map.type === 'bloom_filter';
    if (!fits) throw argumentError('open a bloom filter', 'expected a BpfMap of type bloom_filter');
    this.map = map;
    this.#value = value && requireCodec(`view ${map.name}`, 'value', value, map.valueBufferBytes);
  }

  add(value: Value): void {
    this.map.update(noKey, toBytes(this.#value, value));
  }

  has(value: Value): boolean {
    return this.map.mayContain(toBytes(this.#value, value));
  }
}

function fitted(write: () => void): boolean {
  try {
    write();
    return true;
  } catch (error) {
    if (error instanceof LibbpfError && ['E2BIG', 'ENOSPC'].includes(error.errnoName)) return false;
    throw error;
  }
}
