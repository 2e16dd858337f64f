import { BtfError } from '../error.js';
import { Btf } from './btf.js';
import { RECORD_BYTES, trailerBytes } from './record.js';

const MAGIC = 0xeb9f;
const HEADER_BYTES = 24;
/** Twice the BTF of a distribution kernel with everything built in. */
const BTF_BYTES_MAX = 64 * 1024 * 1024;
const STRING_BYTES_MAX = 4096;

/**
 * Reads a `.BTF` section, or a file of /sys/kernel/btf. Modules are split: their ids and strings go on where `base` ends.
 * All records are walked and bounded here; what they refer to is checked when it is followed.
 * @throws BtfError BTF_INVALID, BTF_LIMIT
 */
export function parseBtf(bytes: Uint8Array, base?: Btf): Btf {
  if (bytes.byteLength > BTF_BYTES_MAX) {
    throw new BtfError('BTF_LIMIT', `BTF of ${bytes.byteLength} bytes is above the limit of ${BTF_BYTES_MAX}`);
  }
  const header = readHeader(bytes);
  const { view, littleEndian } = header;
  if (base !== undefined && base.littleEndian !== littleEndian) {
    throw new BtfError('BTF_INVALID', 'the base BTF has the other byte order');
  }
  const baseStrings = base === undefined ? undefined : stringsOf(base);
  const strings = new StringTable(bytes, header.stringStart, header.stringEnd, baseStrings);
  const offsets = indexRecords(header, strings.totalBytes);
  const firstId = base?.typeCount ?? 1;
  const btf = new Btf({ view, littleEndian, offsets, firstId, stringAt: (at) => strings.at(at) }, base);
  STRINGS.set(btf, strings);
  return btf;
}

/** String tables by their Btf: a split BTF needs its base's, and nobody else does. */
const STRINGS = new WeakMap<Btf, StringTable>();

function stringsOf(base: Btf): StringTable {
  const strings = STRINGS.get(base);
  if (strings === undefined) throw new BtfError('BTF_INVALID', 'the base was not made by parseBtf');
  return strings;
}

interface Header {
  readonly view: DataView;
  readonly littleEndian: boolean;
  readonly typeStart: number;
  readonly typeEnd: number;
  readonly stringStart: number;
  readonly stringEnd: number;
}

function readHeader(bytes: Uint8Array): Header {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.byteLength < HEADER_BYTES) throw new BtfError('BTF_INVALID', 'shorter than a BTF header', 0);
  const littleEndian = view.getUint16(0, true) === MAGIC;
  if (!littleEndian && view.getUint16(0, false) !== MAGIC) throw new BtfError('BTF_INVALID', 'no BTF magic number', 0);
  if (view.getUint8(2) !== 1) throw new BtfError('BTF_INVALID', `BTF version ${view.getUint8(2)} is not 1`, 2);
  const headerBytes = view.getUint32(4, littleEndian);
  if (headerBytes < HEADER_BYTES) throw new BtfError('BTF_INVALID', `BTF header of ${headerBytes} bytes`, 4);
  const typeStart = headerBytes + view.getUint32(8, littleEndian);
  const typeEnd = typeStart + view.getUint32(12, littleEndian);
  const stringStart = headerBytes + view.getUint32(16, littleEndian);
  const stringEnd = stringStart + view.getUint32(20, littleEndian);
  if (typeEnd > view.byteLength) throw new BtfError('BTF_INVALID', 'the types reach past the end', 8);
  if (stringEnd > view.byteLength) throw new BtfError('BTF_INVALID', 'the strings reach past the end', 16);
  if (typeStart % 4 !== 0) throw new BtfError('BTF_INVALID', 'the types are not aligned', 8);
  return { view, littleEndian, typeStart, typeEnd, stringStart, stringEnd };
}

function indexRecords(header: Header, stringBytes: number): Uint32Array {
  const { view, littleEndian, typeEnd } = header;
  const offsets = new Uint32Array(Math.floor((typeEnd - header.typeStart) / RECORD_BYTES));
  let count = 0;
  let at = header.typeStart;
  while (at < typeEnd) {
    if (at + RECORD_BYTES > typeEnd) throw new BtfError('BTF_INVALID', 'the last record is cut off', at);
    const info = view.getUint32(at + 4, littleEndian);
    const kindNumber = (info >>> 24) & 0x1f;
    const trailer = trailerBytes(kindNumber, info & 0xffff);
    if (trailer === undefined) throw new BtfError('BTF_INVALID', `unknown kind ${kindNumber}`, at);
    if (view.getUint32(at, littleEndian) >= Math.max(stringBytes, 1)) {
      throw new BtfError('BTF_INVALID', 'a name lies outside of the strings', at);
    }
    offsets[count] = at;
    count += 1;
    at += RECORD_BYTES + trailer;
  }
  if (at !== typeEnd) throw new BtfError('BTF_INVALID', 'the last record is cut off', at);
  return offsets.slice(0, count);
}

class StringTable {
  readonly totalBytes: number;
  readonly #decoder = new TextDecoder();
  #text: string | undefined;

  constructor(
    readonly bytes: Uint8Array,
    readonly start: number,
    readonly end: number,
    readonly base: StringTable | undefined,
  ) {
    this.totalBytes = (base?.totalBytes ?? 0) + end - start;
  }

  at(offset: number): string {
    if (offset === 0) return '';
    const baseBytes = this.base?.totalBytes ?? 0;
    if (this.base !== undefined && offset < baseBytes) return this.base.at(offset);
    const from = offset - baseBytes;
    this.#text ??= this.#asOneString();
    if (this.#text === '') return this.#decode(this.start + from);
    const end = this.#text.indexOf('\0', from);
    if (end < 0 || from >= this.#text.length) {
      throw new BtfError('BTF_INVALID', 'a name lies outside of the strings', offset);
    }
    if (end - from > STRING_BYTES_MAX) {
      throw new BtfError('BTF_LIMIT', `a name is longer than ${STRING_BYTES_MAX}`, this.start + from);
    }
    return this.#text.slice(from, end);
  }

  /** Names as parts of one string cost next to nothing; empty where some are not plain ASCII, and are decoded by themselves. */
  #asOneString(): string {
    const bytes = this.bytes.subarray(this.start, this.end);
    return bytes.some((byte) => byte >= 0x80) ? '' : this.#decoder.decode(bytes);
  }

  #decode(from: number): string {
    const to = this.bytes.indexOf(0, from);
    if (to < 0 || to >= this.end || to - from > STRING_BYTES_MAX) {
      throw new BtfError('BTF_INVALID', 'a name does not end inside the strings', from);
    }
    return this.#decoder.decode(this.bytes.subarray(from, to));
  }
}
