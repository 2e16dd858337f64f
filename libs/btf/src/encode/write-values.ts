import { BtfValueError } from '../error.js';

const ENCODER = new TextEncoder();
const SHOWN_CHARS_MAX = 40;
const LONE_SURROGATE = /\p{Surrogate}/u;

/** Says what stands at `path` and what should: `key.addr[3] is 300, expected an integer from 0 to 255`. */
export function refuse(value: unknown, path: string, expected: string): never {
  throw new BtfValueError(path, `is ${shown(value)}, expected ${expected}`);
}

/** Never longer than a line, whatever the value is. */
function shown(value: unknown): string {
  switch (typeof value) {
    case 'undefined':
      return 'missing';
    case 'string': {
      const cut = value.length > SHOWN_CHARS_MAX;
      return JSON.stringify(cut ? `${value.slice(0, SHOWN_CHARS_MAX)}…` : value);
    }
    case 'number':
    case 'boolean':
      return String(value);
    case 'bigint':
      return BigInt.asIntN(256, value) === value ? String(value) : 'an integer of more than 256 bits';
    case 'object':
      if (value === null) return 'null';
      if (Array.isArray(value)) return `an array of ${value.length}`;
      return value instanceof Uint8Array ? `${value.length} bytes` : 'an object';
    default:
      return `a ${typeof value}`;
  }
}

/** The slow way of an integer up to 32 bits: a bigint will do as well, anything else is refused. */
export function numberOf(value: unknown, min: number, max: number, path: string, expected: string): number {
  if (typeof value === 'bigint' && value >= min && value <= max) return Number(value);
  return refuse(value, path, expected);
}

/** The slow way of a wider integer: a number will do as long as it is exact, anything else is refused. */
export function bigintOf(value: unknown, min: bigint, max: bigint, path: string, expected: string): bigint {
  if (typeof value !== 'number' || !Number.isInteger(value)) return refuse(value, path, expected);
  if (!Number.isSafeInteger(value)) {
    throw new BtfValueError(path, `is ${value}, which a number cannot hold exactly: give a bigint`);
  }
  const exact = BigInt(value);
  return exact >= min && exact <= max ? exact : refuse(value, path, expected);
}

export function enumValueOf<T>(values: ReadonlyMap<string, T>, name: string, path: string, expected: string): T {
  return values.get(name) ?? refuse(name, path, expected);
}

/** An object that may have members, which arrays, bytes and null are not. */
export function isRecord(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
}

export function checkNames(value: object, names: ReadonlySet<string>, path: string): void {
  for (const name in value) {
    if (names.has(name)) continue;
    const known = names.size === 0 ? 'its type has none' : `its type has ${listed([...names])}`;
    throw new BtfValueError(path, `has a member ${shown(name)}: ${known}`);
  }
}

/** `a, b, c`, cut where it gets long. */
export function listed(names: readonly string[]): string {
  const kept = names.slice(0, 12).map((name) => name.slice(0, SHOWN_CHARS_MAX));
  return names.length > kept.length ? `${kept.join(', ')} and ${names.length - kept.length} more` : kept.join(', ');
}

export function isList(value: unknown, count: number): boolean {
  if (Array.isArray(value)) return value.length === count;
  return ArrayBuffer.isView(value) && !(value instanceof DataView) && (value as Uint8Array).length === count;
}

/** False when the text does not fit or would not be read back as it is; see {@link refuseText}. */
export function writeText(target: Uint8Array, start: number, end: number, value: unknown): boolean {
  if (typeof value !== 'string') return writeBytes(target, start, end, value);
  if (value.length > end - start) return false;
  for (let index = 0; index < value.length; index += 1) {
    const code = value.charCodeAt(index);
    if (code >= 0x80) return writeUnicode(target.subarray(start, end), value);
    if (code === 0) return false;
    target[start + index] = code;
  }
  return true;
}

function writeUnicode(target: Uint8Array, value: string): boolean {
  if (value.includes('\0') || LONE_SURROGATE.test(value)) return false;
  target.fill(0);
  return ENCODER.encodeInto(value, target).read === value.length;
}

export function refuseText(value: unknown, path: string, bytesMax: number): never {
  const expected = `text of at most ${bytesMax} bytes, or exactly ${bytesMax} bytes`;
  if (typeof value !== 'string') return refuse(value, path, expected);
  if (value.includes('\0')) throw new BtfValueError(path, 'has a NUL inside, where C would end it: give bytes');
  if (LONE_SURROGATE.test(value)) throw new BtfValueError(path, 'has half a surrogate pair, which has no UTF-8');
  throw new BtfValueError(
    path,
    `has ${ENCODER.encode(value).length} bytes of UTF-8, and there is room for ${bytesMax}`,
  );
}

export function writeBytes(target: Uint8Array, start: number, end: number, value: unknown): boolean {
  if (!(value instanceof Uint8Array) || value.length !== end - start) return false;
  target.set(value, start);
  return true;
}

/**
 * Sets bits that are zero. `offsetBits` counts from the byte `at`, as in {@link readBits}: from the lowest bit of a byte on
 * little-endian machines, from the highest on others.
 */
export function writeBits(
  target: Uint8Array,
  at: number,
  offsetBits: number,
  bits: number,
  value: bigint,
  littleEndian: boolean,
): void {
  const first = at + (offsetBits >> 3);
  const last = at + ((offsetBits + bits - 1) >> 3);
  const low = littleEndian ? offsetBits & 7 : (last - at + 1) * 8 - offsetBits - bits;
  let word = BigInt.asUintN(bits, value) << BigInt(low);
  for (let step = 0; step <= last - first; step += 1) {
    const place = littleEndian ? first + step : last - step;
    target[place] = (target[place] as number) | Number(word & 0xffn);
    word >>= 8n;
  }
}
