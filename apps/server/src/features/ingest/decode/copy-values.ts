import type { CopyWriter } from '@bpfleet/btf';

const JSONB_VERSION = 1;
const INT8_MAX = 2n ** 63n - 1n;

/** One field of PostgreSQL's binary jsonb: a version byte and the text. */
export function jsonb(writer: CopyWriter, json: string): void {
  const text = Buffer.from(json, 'utf8');
  const bytes = new Uint8Array(text.length + 1);
  bytes[0] = JSONB_VERSION;
  bytes.set(text, 1);
  writer.bytea(bytes);
}

/** A hostile counter may be anything up to 2^64 × CPUs; the column ends at 2^63 − 1. */
export function wholeCount(count: number): bigint {
  if (!Number.isFinite(count) || count <= 0) return 0n;
  const whole = BigInt(Math.trunc(count));
  return whole > INT8_MAX ? INT8_MAX : whole;
}
