import { deflateRawSync, inflateRawSync } from 'node:zlib';
import * as z from 'zod';
import { WireError } from './errors.js';
import { limits } from './limits.js';
import { runIdPattern } from './messages.js';
import { streams } from './topics.js';

/**
 * A telemetry batch: `bpf1`, u16 header bytes, header (JSON), body. The body is kernel bytes in sections, one behind the
 * other; each section of fixed-size items is byte-transposed ("shuffled": all first bytes, all second bytes, …) since
 * neighbouring records differ in few columns, then everything is deflated.
 *
 * Sections by source:
 *  - `ring`:   records; with `recordBytes` they all have that size, else a section of u32 lengths comes first
 *  - `map`:    `count` keys, `count` values (as the kernel gives them to user space: per-CPU values at 8-byte stride), `gone` keys
 *  - `stacks`: `count` entries of u32 id, u32 depth; then all addresses (u64)
 *  - `names`:  JSON: [{ kind, id, name }]
 */
const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const u64Text = z.string().regex(/^\d{1,20}$/);
const range = z.tuple([count, count]);

export const batchHeaderSchema = z.object({
  v: z.literal(1),
  stream: z.enum(streams),
  epoch: count,
  number: count,
  run: z.string().regex(runIdPattern),
  release: z.string().regex(/^[0-9a-f]{64}$/),
  source: z.object({ kind: z.enum(['ring', 'map', 'stacks', 'names']), map: z.string().max(64) }),
  count: z.number().int().min(0).max(limits.batchRecordsMax),
  /** Sizes of the body's sections in order: item size (1 = not shuffled) and number of items. */
  sections: z.array(z.object({ stride: z.number().int().min(1).max(65_536), items: count })).max(4),
  /** `map` only: CPUs behind each per-CPU value; whether this is every entry of the map (a keyframe). */
  cpus: z.number().int().min(1).max(4096).optional(),
  keyframe: z.boolean().optional(),
  /** Taken together when the batch was sealed: ties the kernel's clocks to wall time. `trusted` is false before the first `fresh`. */
  time: z.object({
    bootId: z.string().max(64),
    boottimeNs: u64Text,
    monotonicNs: u64Text,
    realtimeNs: u64Text,
    trusted: z.boolean(),
  }),
  /** Lowest number of this epoch that the agent still holds, and what it had to give up. */
  floor: count,
  lost: z.array(range).max(limits.lostRangesMax),
  /** Of this run, absolute since its first attach: `kernel` null when the object does not count failed reservations. */
  drops: z.object({ kernel: count.nullable(), rate: count, spool: count }),
});
export type BatchHeader = z.infer<typeof batchHeaderSchema>;

export interface Section {
  readonly stride: number;
  readonly bytes: Uint8Array;
}

const MAGIC = Buffer.from('bpf1', 'latin1');
const PREFIX_BYTES = MAGIC.length + 2;

/** Throws WIRE_SIZE when a section or the whole is above its bound; the caller seals smaller batches. */
export function encodeBatch(header: Omit<BatchHeader, 'v' | 'sections'>, sections: readonly Section[]): Buffer {
  const rawBytes = sections.reduce((sum, section) => sum + section.bytes.length, 0);
  if (rawBytes > limits.batchRawBytesMax) {
    throw new WireError('WIRE_SIZE', `a batch of ${rawBytes} raw bytes; at most ${limits.batchRawBytesMax}`);
  }
  const whole: BatchHeader = {
    ...header,
    v: 1,
    sections: sections.map(({ stride, bytes }) => ({ stride, items: itemsOf(stride, bytes) })),
  };
  const head = Buffer.from(JSON.stringify(whole), 'utf8');
  if (head.length > limits.batchHeaderBytesMax) {
    throw new WireError('WIRE_SIZE', `a batch header of ${head.length} bytes; at most ${limits.batchHeaderBytesMax}`);
  }
  const raw = Buffer.concat(sections.map(({ stride, bytes }) => shuffle(bytes, stride)));
  const prefix = Buffer.alloc(PREFIX_BYTES);
  MAGIC.copy(prefix);
  prefix.writeUInt16LE(head.length, MAGIC.length);
  return Buffer.concat([prefix, head, deflateRawSync(raw)]);
}

function itemsOf(stride: number, bytes: Uint8Array): number {
  if (bytes.length % stride !== 0) {
    throw new WireError('WIRE_BATCH_BODY', `a section of ${bytes.length} bytes is no multiple of its stride ${stride}`);
  }
  return bytes.length / stride;
}

/** Header alone: ingest settles duplicates before it spends time on a body. Throws WIRE_BATCH_HEADER. */
export function decodeBatchHeader(payload: Uint8Array): { header: BatchHeader; body: Uint8Array } {
  if (payload.length < PREFIX_BYTES || !MAGIC.equals(payload.subarray(0, MAGIC.length))) {
    throw new WireError('WIRE_BATCH_HEADER', 'the payload does not start with bpf1');
  }
  const headBytes = (payload[4] ?? 0) | ((payload[5] ?? 0) << 8);
  const bodyStart = PREFIX_BYTES + headBytes;
  if (headBytes > limits.batchHeaderBytesMax || bodyStart > payload.length) {
    throw new WireError('WIRE_BATCH_HEADER', `a header of ${headBytes} bytes in a payload of ${payload.length}`);
  }
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload.subarray(PREFIX_BYTES, bodyStart)));
  } catch {
    throw new WireError('WIRE_BATCH_HEADER', 'the header is not JSON');
  }
  const parsed = batchHeaderSchema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new WireError('WIRE_BATCH_HEADER', `${issue?.path.join('.') ?? 'header'}: ${issue?.message ?? 'malformed'}`);
  }
  return { header: parsed.data, body: payload.subarray(bodyStart) };
}

/** The sections' bytes in order, unshuffled. Inflating stops at the size the header states. Throws WIRE_BATCH_BODY. */
export function decodeBatchBody(header: BatchHeader, body: Uint8Array): Uint8Array[] {
  const sizes = header.sections.map(({ stride, items }) => stride * items);
  const rawBytes = sizes.reduce((sum, size) => sum + size, 0);
  if (rawBytes > limits.batchRawBytesMax) {
    throw new WireError(
      'WIRE_BATCH_BODY',
      `the header states ${rawBytes} raw bytes; at most ${limits.batchRawBytesMax}`,
    );
  }
  const raw = inflate(body, rawBytes);
  const out: Uint8Array[] = [];
  let offset = 0;
  header.sections.forEach(({ stride }, index) => {
    const end = offset + (sizes[index] ?? 0);
    out.push(unshuffle(raw.subarray(offset, end), stride));
    offset = end;
  });
  return out;
}

function inflate(body: Uint8Array, rawBytes: number): Buffer {
  let raw: Buffer;
  try {
    raw = inflateRawSync(body, { maxOutputLength: Math.max(rawBytes, 1) });
  } catch (error) {
    throw new WireError('WIRE_BATCH_BODY', `the body does not inflate: ${(error as Error).message}`);
  }
  if (raw.length !== rawBytes) {
    throw new WireError('WIRE_BATCH_BODY', `the body inflates to ${raw.length} bytes, the header states ${rawBytes}`);
  }
  return raw;
}

/** Byte transpose of `bytes` seen as rows of `stride` bytes. */
export function shuffle(bytes: Uint8Array, stride: number): Uint8Array {
  if (stride === 1) return bytes;
  const rows = bytes.length / stride;
  const out = new Uint8Array(bytes.length);
  let at = 0;
  for (let column = 0; column < stride; column++) {
    for (let from = column; from < bytes.length; from += stride) out[at++] = bytes[from] as number;
  }
  return rows > 0 ? out : bytes;
}

export function unshuffle(bytes: Uint8Array, stride: number): Uint8Array {
  if (stride === 1) return bytes;
  const out = new Uint8Array(bytes.length);
  let from = 0;
  for (let column = 0; column < stride; column++) {
    for (let at = column; at < bytes.length; at += stride) out[at] = bytes[from++] as number;
  }
  return out;
}
