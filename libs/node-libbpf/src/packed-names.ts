import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { native } from './native.js';
import { NumberList } from './number-list.js';

/** Names of one block. Of 122,000 names in 2.9 MiB, blocks of 64 leave 0.65 MiB and of 512 leave 0.53; one takes 15 µs to open. */
const blockNames = 64;
const newline = 10;
// A window that a block fits into: zlib's own takes 268 KiB for each block, this one 48.
const deflateOptions = { level: 6, windowBits: 13, memLevel: 5 } as const;

/** Names without newlines, by the order in which they came, deflated in blocks: those of a kernel are four times smaller so. */
export class PackedNames {
  count = 0;
  #packed: Buffer = Buffer.allocUnsafe(1 << 16);
  readonly #blockEnds = new NumberList();
  #pending: Buffer = Buffer.allocUnsafe(1 << 13);
  #pendingBytes = 0;
  /** Neighbours are asked for together: those of one block, and all when a table is made. */
  #open: { block: number; names: Buffer } = { block: -1, names: Buffer.alloc(0) };

  /** Names with a newline each, and where each ends behind it. */
  add(names: Buffer, ends: Uint32Array): void {
    for (let at = 0; at < ends.length;) {
      const next = Math.min(at + blockNames - (this.count % blockNames), ends.length);
      const [begin, end] = [at === 0 ? 0 : (ends[at - 1] ?? 0), ends[next - 1] ?? 0];
      this.#pending = withRoom(this.#pending, this.#pendingBytes, end - begin);
      this.#pendingBytes += names.copy(this.#pending, this.#pendingBytes, begin, end);
      this.count += next - at;
      at = next;
      if (this.count % blockNames === 0) this.#close();
    }
  }

  /** After the last name; gives back what doubling took too much. */
  finish(): void {
    if (this.#pendingBytes > 0) this.#close();
    this.#pending = Buffer.alloc(0);
    this.#packed = Buffer.from(this.#packed.subarray(0, this.#packedBytes));
    this.#blockEnds.trim();
  }

  /** What it takes, once finished. */
  get bytes(): number {
    return this.#packed.length + this.#blockEnds.bytes;
  }

  /** Good until the next call. */
  bytesOf(index: number): Buffer {
    const names = this.#opened(Math.floor(index / blockNames));
    let begin = 0;
    for (let skip = index % blockNames; skip > 0; skip--) begin = names.indexOf(newline, begin) + 1;
    return names.subarray(begin, names.indexOf(newline, begin));
  }

  /** FNV-1a of each, by index. */
  hashes(): Uint32Array {
    const hashes = new Uint32Array(this.count);
    for (let begin = 0; begin < this.count; begin += blockNames)
      native.hashLines(this.#opened(begin / blockNames), hashes.subarray(begin, begin + blockNames));
    return hashes;
  }

  #opened(block: number): Buffer {
    if (this.#open.block !== block) {
      const begin = block === 0 ? 0 : this.#blockEnds.at(block - 1);
      this.#open = { block, names: inflateRawSync(this.#packed.subarray(begin, this.#blockEnds.at(block))) };
    }
    return this.#open.names;
  }

  #close(): void {
    const packed = deflateRawSync(this.#pending.subarray(0, this.#pendingBytes), deflateOptions);
    const begin = this.#packedBytes;
    this.#packed = withRoom(this.#packed, begin, packed.length);
    packed.copy(this.#packed, begin);
    this.#blockEnds.push(begin + packed.length);
    this.#pendingBytes = 0;
  }

  get #packedBytes(): number {
    return this.#blockEnds.length === 0 ? 0 : this.#blockEnds.at(this.#blockEnds.length - 1);
  }
}

function withRoom(buffer: Buffer, used: number, more: number): Buffer {
  if (used + more <= buffer.length) return buffer;
  const larger = Buffer.allocUnsafe(Math.max(2 * buffer.length, used + more));
  buffer.copy(larger, 0, 0, used);
  return larger;
}
