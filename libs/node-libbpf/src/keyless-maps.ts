import { argumentError, LibbpfError } from './errors.js';
import { BpfMap } from './map.js';

const noKey = Buffer.alloc(0);
// BPF_EXIST: make room by dropping the oldest.
const dropOldest = 2;

/** A BPF_MAP_TYPE_QUEUE (first in, first out) or BPF_MAP_TYPE_STACK (last in, first out), kernel ≥ 4.20. */
export class MapQueue {
  readonly map: BpfMap;

  constructor(map: BpfMap) {
    const fits = map instanceof BpfMap && ['queue', 'stack'].includes(map.type);
    if (!fits) throw argumentError('open a queue', 'expected a BpfMap of type queue or stack');
    this.map = map;
  }

  /** False when it is full. With `overwrite` the oldest value makes room. */
  push(value: Buffer, options: { overwrite?: boolean } = {}): boolean {
    return fitted(() => this.map.update(noKey, value, options.overwrite === true ? dropOldest : 0));
  }

  pop(): Buffer | undefined {
    return this.map.take(noKey);
  }

  peek(): Buffer | undefined {
    return this.map.lookup(noKey);
  }
}

/** A BPF_MAP_TYPE_BLOOM_FILTER (≥ 5.16): has() may be true for what was never added, and is never false for what was. */
export class BloomFilter {
  readonly map: BpfMap;

  constructor(map: BpfMap) {
    const fits = map instanceof BpfMap && map.type === 'bloom_filter';
    if (!fits) throw argumentError('open a bloom filter', 'expected a BpfMap of type bloom_filter');
    this.map = map;
  }

  add(value: Buffer): void {
    this.map.update(noKey, value);
  }

  has(value: Buffer): boolean {
    return this.map.mayContain(value);
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
