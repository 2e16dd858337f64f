import { isMappedIpv4, readText } from './values.js';

/** Types of Postgres columns that {@link CopyWriter} can fill. */
export type PgType =
  | 'bool'
  | 'int2'
  | 'int4'
  | 'int8'
  | 'numeric'
  | 'float4'
  | 'float8'
  | 'text'
  | 'bytea'
  | 'inet'
  | 'timestamptz'
  | 'int2[]'
  | 'int4[]'
  | 'int8[]'
  | 'numeric[]'
  | 'float8[]'
  | 'bool[]';

const INITIAL_BYTES = 64 * 1024;
/** Postgres counts time from 2000-01-01. */
const POSTGRES_EPOCH_MICROS = 946_684_800_000_000n;
const POSTGRES_EPOCH_MICROS_NUMBER = 946_684_800_000_000;
const INET_FAMILY_V4 = 2;
const INET_FAMILY_V6 = 3;
/** Base-10000 digits of 2^64 − 1 are five; of anything up to 2^128 ten. */
const NUMERIC_DIGITS_MAX = 10;
const NUMERIC_NEGATIVE = 0x4000;

/**
 * A growable buffer of PostgreSQL's COPY BINARY format. Generated encoders write into `view` at `position` themselves
 * after `reserve`; everybody else uses the methods, each of which writes one whole field (length and value).
 */
export class CopyWriter {
  bytes: Uint8Array;
  view: DataView;
  /** Bytes written so far. */
  position = 0;
  readonly #digits = new Uint16Array(NUMERIC_DIGITS_MAX);
  readonly #encoder = new TextEncoder();

  constructor(initialBytes: number = INITIAL_BYTES) {
    this.bytes = new Uint8Array(initialBytes);
    this.view = new DataView(this.bytes.buffer);
  }

  /** Makes room for `bytes` more; `bytes` and `view` may be other objects afterwards. */
  reserve(bytes: number): void {
    const needed = this.position + bytes;
    if (needed <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.bytes.length * 2));
    grown.set(this.bytes.subarray(0, this.position));
    this.bytes = grown;
    this.view = new DataView(grown.buffer);
  }

  /** The stream's signature and empty header: once, before the first tuple. */
  header(): void {
    this.reserve(19);
    this.bytes.set([0x50, 0x47, 0x43, 0x4f, 0x50, 0x59, 0x0a, 0xff, 0x0d, 0x0a, 0x00], this.position);
    this.bytes.fill(0, this.position + 11, this.position + 19);
    this.position += 19;
  }

  /** Begins a tuple of that many fields. */
  tuple(fields: number): void {
    this.reserve(2);
    this.view.setInt16(this.position, fields);
    this.position += 2;
  }

  /** Ends the stream: once, after the last tuple. */
  trailer(): void {
    this.tuple(-1);
  }

  null(): void {
    this.reserve(4);
    this.view.setInt32(this.position, -1);
    this.position += 4;
  }

  bool(value: boolean): void {
    const at = this.#field(1);
    this.view.setUint8(at, value ? 1 : 0);
  }

  int16(value: number): void {
    const at = this.#field(2);
    this.view.setInt16(at, value);
  }

  int32(value: number): void {
    const at = this.#field(4);
    this.view.setInt32(at, value);
  }

  /** Bits above 64 are cut off. */
  int64(value: bigint): void {
    const at = this.#field(8);
    this.view.setBigInt64(at, value);
  }

  float4(value: number): void {
    const at = this.#field(4);
    this.view.setFloat32(at, value);
  }

  float8(value: number): void {
    const at = this.#field(8);
    this.view.setFloat64(at, value);
  }

  /** Any whole number of up to 128 bits, exactly. */
  numeric(value: bigint): void {
    let rest = value < 0n ? -value : value;
    let count = 0;
    while (rest > 0n && count < NUMERIC_DIGITS_MAX) {
      this.#digits[count] = Number(rest % 10_000n);
      rest /= 10_000n;
      count += 1;
    }
    this.#numericDigits(count, value < 0n ? NUMERIC_NEGATIVE : 0);
  }

  /** An unsigned 64-bit number by its halves; without a bigint as long as it is below 2^53. */
  numericFromHalves(high: number, low: number): void {
    if (high >= 0x20_0000) {
      this.numeric((BigInt(high) << 32n) | BigInt(low));
      return;
    }
    let rest = high * 0x1_0000_0000 + low;
    let count = 0;
    while (rest > 0) {
      const quotient = Math.floor(rest / 10_000);
      this.#digits[count] = rest - quotient * 10_000;
      rest = quotient;
      count += 1;
    }
    this.#numericDigits(count, 0);
  }

  /** Text of any origin; NUL, which Postgres refuses, becomes U+FFFD, and so do lone surrogates. */
  text(value: string): void {
    const clean = value.includes('\0') ? value.replaceAll('\0', '\ufffd') : value;
    this.reserve(4 + clean.length * 3);
    const { written } = this.#encoder.encodeInto(clean, this.bytes.subarray(this.position + 4));
    this.view.setInt32(this.position, written);
    this.position += 4 + written;
  }

  /** Text out of a char array: it ends at the first NUL, and invalid UTF-8 is replaced. */
  textFromView(source: DataView, start: number, end: number): void {
    this.reserve(4 + end - start);
    const target = this.view;
    const from = this.position + 4;
    let to = from;
    for (let at = start; at < end; at += 1, to += 1) {
      const byte = source.getUint8(at);
      if (byte === 0) break;
      if (byte >= 0x80) {
        this.text(readText(source, start, end));
        return;
      }
      target.setUint8(to, byte);
    }
    target.setInt32(this.position, to - from);
    this.position = to;
  }

  bytea(source: Uint8Array): void {
    const at = this.#field(source.length);
    this.bytes.set(source, at);
  }

  byteaFromView(source: DataView, start: number, end: number): void {
    this.bytea(new Uint8Array(source.buffer, source.byteOffset + start, end - start));
  }

  /**
   * An address of 4 or 16 bytes, in network order. IPv4 inside IPv6 (`::ffff:a.b.c.d`), as sockets that serve both
   * families have it, becomes IPv4, so that one address is equal to itself in SQL.
   */
  inet(address: Uint8Array): void {
    const bytes = address.length === 16 && isMappedIpv4(address) ? address.subarray(12) : address;
    const at = this.#field(4 + bytes.length);
    this.bytes[at] = bytes.length === 4 ? INET_FAMILY_V4 : INET_FAMILY_V6;
    this.bytes[at + 1] = bytes.length * 8;
    this.bytes[at + 2] = 0;
    this.bytes[at + 3] = bytes.length;
    this.bytes.set(bytes, at + 4);
  }

  inetFromView(source: DataView, start: number, end: number): void {
    this.inet(new Uint8Array(source.buffer, source.byteOffset + start, end - start));
  }

  /** Microseconds since 1970, UTC. */
  timestamptz(unixMicros: bigint | number): void {
    const at = this.#field(8);
    if (typeof unixMicros === 'bigint') this.view.setBigInt64(at, unixMicros - POSTGRES_EPOCH_MICROS);
    else this.view.setBigInt64(at, BigInt(Math.trunc(unixMicros) - POSTGRES_EPOCH_MICROS_NUMBER));
  }

  /** A one-dimensional array; `write` is called once per element and must write one field. */
  array(elementOid: number, count: number, write: (index: number) => void): void {
    this.reserve(24);
    const start = this.position;
    this.position += 4;
    for (const word of count === 0 ? [0, 0, elementOid] : [1, 0, elementOid, count, 1]) {
      this.view.setInt32(this.position, word);
      this.position += 4;
    }
    for (let index = 0; index < count; index += 1) write(index);
    this.view.setInt32(start, this.position - start - 4);
  }

  /** A copy of everything written; the writer is empty afterwards and keeps its memory. */
  take(): Uint8Array {
    const taken = this.bytes.slice(0, this.position);
    this.position = 0;
    return taken;
  }

  /** Goes back to an earlier `position`, so that half a tuple can be given up. */
  rewind(position: number): void {
    if (position < this.position) this.position = position;
  }

  /** Writes the length and returns where the value goes; `position` is already behind it. */
  #field(bytes: number): number {
    this.reserve(4 + bytes);
    this.view.setInt32(this.position, bytes);
    const at = this.position + 4;
    this.position = at + bytes;
    return at;
  }

  /** `#digits` holds `count` base-10000 digits, the least significant first. Trailing zeros must not be sent. */
  #numericDigits(count: number, sign: number): void {
    let skip = 0;
    while (skip < count && this.#digits[skip] === 0) skip += 1;
    const sent = count - skip;
    let at = this.#field(8 + sent * 2);
    this.view.setInt16(at, sent);
    this.view.setInt16(at + 2, Math.max(count - 1, 0));
    this.view.setUint16(at + 4, sent === 0 ? 0 : sign);
    this.view.setInt16(at + 6, 0);
    at += 8;
    for (let index = count - 1; index >= skip; index -= 1, at += 2)
      this.view.setUint16(at, this.#digits[index] as number);
  }
}
