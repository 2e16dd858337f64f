import type { BpfObjectFile, MapDefinition } from '@bpfleet/btf';

export interface Machine {
  /** Possible CPUs, not only those that are online: the kernel allocates for all. */
  readonly cpus: number;
  /** 4096 on most machines, 65536 on some ARM64. */
  readonly pageBytes: number;
}

export interface MapMemory {
  readonly map: string;
  readonly bytes: number;
}

/** struct htab_elem before its key, struct bucket, struct bpf_array and its like: those of 64-bit kernels 5.10 to 6.18. */
const HASH_ELEMENT_BYTES = 48;
const HASH_BUCKET_BYTES = 16;
const MAP_HEADER_BYTES = 1024;
const POINTER_BYTES = 8;
const LPM_NODE_BYTES = 40;
const STACK_BUCKET_BYTES = 32;
/** struct bpf_ringbuf, consumer page, producer page. */
const RINGBUF_EXTRA_PAGES = 3;

/**
 * What each map of an object, data sections included, costs a kernel when it is full, in bytes: an upper bound for maps
 * that the kernel allocates at once, and for others what they grow to. Maps whose entries belong to sockets, tasks or
 * inodes grow with those and count as their entries only where `max_entries` says how many.
 */
export function mapMemoryBytes(object: BpfObjectFile, machine: Machine): MapMemory[] {
  const maps = object.maps.map((map) => ({ map: map.name, bytes: mapBytes(map, machine) }));
  const sections = object.dataSections.map(({ name, bytes }) => ({
    map: name,
    bytes: roundUp(MAP_HEADER_BYTES, machine.pageBytes) + roundUp(bytes, machine.pageBytes),
  }));
  return [...maps, ...sections];
}

function mapBytes(map: MapDefinition, machine: Machine): number {
  const { cpus, pageBytes } = machine;
  const key = roundUp(map.keyBytes, 8);
  const value = roundUp(map.valueBytes, 8);
  const entries = map.maxEntries;
  const whole = (bytes: number): number => roundUp(MAP_HEADER_BYTES + bytes, pageBytes);
  switch (map.typeName) {
    case 'array':
      return whole(entries * value);
    case 'percpu_array':
      return whole(entries * (POINTER_BYTES + value * cpus));
    case 'hash':
    case 'lru_hash':
      return whole(hashBytes(entries, map.typeName === 'hash' ? cpus : 0, HASH_ELEMENT_BYTES + key + value));
    case 'percpu_hash':
    case 'lru_percpu_hash':
      return whole(hashBytes(entries, 0, HASH_ELEMENT_BYTES + key + POINTER_BYTES + value * cpus));
    case 'ringbuf':
    case 'user_ringbuf': {
      const pages = ringDataBytes(entries, pageBytes) / pageBytes + RINGBUF_EXTRA_PAGES;
      // The data pages are mapped twice, one behind the other, and the list of pages is kept.
      return pages * pageBytes + roundUp(2 * pages * POINTER_BYTES, pageBytes);
    }
    case 'perf_event_array':
      return whole((entries === 0 ? cpus : entries) * POINTER_BYTES);
    case 'stack_trace':
      return whole(powerOfTwo(entries) * POINTER_BYTES + entries * (STACK_BUCKET_BYTES + value));
    case 'queue':
    case 'stack':
      return whole((entries + 1) * value);
    case 'lpm_trie':
      // Every entry can need a node of its own between it and its neighbour.
      return whole(entries * 2 * (LPM_NODE_BYTES + key + value));
    case 'array_of_maps':
    case 'hash_of_maps': {
      const inner = map.inner === undefined ? 0 : mapBytes(map.inner, machine);
      return whole(hashBytes(entries, 0, HASH_ELEMENT_BYTES + key + POINTER_BYTES)) + entries * inner;
    }
    default:
      return whole(entries * (HASH_ELEMENT_BYTES + key + value));
  }
}

/**
 * What libbpf asks the kernel for in the place of `max_entries`, in bytes: the kernel takes only whole pages, a power of two of them
 * (ringbuf_map_alloc()), and 4 KiB that were written for small pages are one page of 64 KiB on some ARM64 (libbpf 0.8, commit
 * 0087a681fa8c). So no probe is refused for the size of a kernel's pages; it may take more memory there than its budget allows.
 */
function ringDataBytes(entries: number, pageBytes: number): number {
  return entries === 0 ? 0 : powerOfTwo(Math.ceil(entries / pageBytes)) * pageBytes;
}

/** Preallocated hash maps keep one spare element for each CPU. */
function hashBytes(entries: number, spare: number, elementBytes: number): number {
  return powerOfTwo(entries) * HASH_BUCKET_BYTES + (entries + spare) * elementBytes;
}

function powerOfTwo(value: number): number {
  return value <= 1 ? 1 : 2 ** Math.ceil(Math.log2(value));
}

function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}
