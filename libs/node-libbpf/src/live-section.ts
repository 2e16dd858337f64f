import { argumentError, closedError } from './errors.js';
import type { GlobalSection } from './global.js';
import type { BpfMap } from './map.js';

// BPF_F_MMAPABLE (linux/bpf.h).
const mmapable = 1 << 10;

const firstEntry = Buffer.alloc(4);

/** How a value of so many bytes is read and written at once. */
const words: Readonly<Record<number, (memory: Buffer, offset: number) => Word>> = {
  1: (memory, offset) => new Uint8Array(memory.buffer, memory.byteOffset + offset, 1),
  2: (memory, offset) => new Uint16Array(memory.buffer, memory.byteOffset + offset, 1),
  4: (memory, offset) => new Uint32Array(memory.buffer, memory.byteOffset + offset, 1),
  8: (memory, offset) => new BigUint64Array(memory.buffer, memory.byteOffset + offset, 1),
};

type Word = Uint8Array | Uint16Array | Uint32Array | BigUint64Array;

/** @internal Global data of a loaded object: the kernel's memory where it can be mapped, else the one entry of its map. */
export class LiveSection implements GlobalSection {
  readonly name: string;
  readonly bytes: number;
  readonly refusal: string | undefined;
  readonly #map: BpfMap;
  readonly #canMap: boolean;
  #memory: Buffer | undefined;

  constructor(map: BpfMap) {
    this.name = map.name;
    this.bytes = map.valueBytes;
    this.refusal = map.name.startsWith('.rodata') ? 'it is const: set it before load()' : undefined;
    this.#map = map;
    // The kernel maps no frozen array, and libbpf freezes .rodata.
    this.#canMap = (map.flags & mmapable) !== 0 && this.refusal === undefined;
  }

  read(operation: string, offset: number, bytes: number): Buffer {
    const memory = this.#mapped(operation);
    if (memory === undefined)
      return Buffer.from(this.#entry(operation, offset, bytes).subarray(offset, offset + bytes));
    requireRoom(operation, memory, offset, bytes);
    const value = Buffer.from(new ArrayBuffer(bytes));
    if (!moveWord(memory, offset, value, 0, bytes)) memory.copy(value, 0, offset, offset + bytes);
    return value;
  }

  write(operation: string, offset: number, value: Buffer): void {
    const memory = this.#mapped(operation);
    if (memory === undefined) {
      const entry = this.#entry(operation, offset, value.length);
      value.copy(entry, offset);
      this.#map.update(firstEntry, entry);
      return;
    }
    requireRoom(operation, memory, offset, value.length);
    const aligned = Buffer.from(new ArrayBuffer(value.length));
    value.copy(aligned);
    if (!moveWord(aligned, 0, memory, offset, value.length)) aligned.copy(memory, offset);
  }

  #mapped(operation: string): Buffer | undefined {
    if (this.#map.closed) {
      this.#memory = undefined;
      throw closedError(operation);
    }
    if (this.#canMap) this.#memory ??= this.#map.mmap();
    return this.#memory;
  }

  #entry(operation: string, offset: number, bytes: number): Buffer {
    const entry = this.#map.lookup(firstEntry);
    if (entry === undefined) throw argumentError(operation, 'its section has no content');
    requireRoom(operation, entry, offset, bytes);
    return entry;
  }
}

function requireRoom(operation: string, memory: Buffer, offset: number, bytes: number): void {
  if (offset + bytes <= memory.length) return;
  throw argumentError(operation, `its section has ${memory.length} bytes and it reaches to ${offset + bytes}`);
}

/**
 * One load and one store of the machine, so that no program and no reader sees half of a value: copying byte by byte, as
 * Buffers and DataViews may, would show it. False where a value is no word or lies across two.
 */
function moveWord(source: Buffer, from: number, target: Buffer, to: number, bytes: number): boolean {
  const word = words[bytes];
  if (word === undefined || (source.byteOffset + from) % bytes !== 0 || (target.byteOffset + to) % bytes !== 0)
    return false;
  // Both are of the same width; the compiler cannot know.
  const [read, written] = [word(source, from), word(target, to)] as [BigUint64Array, BigUint64Array];
  Atomics.store(written, 0, Atomics.load(read, 0));
  return true;
}
