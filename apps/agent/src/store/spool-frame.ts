import { streams } from '@bpfleet/wire';
import * as z from 'zod';
import { crc32 } from './crc32.js';

/**
 * Frames of a spool segment: u32 bytes of the body, u32 CRC-32 of the body, then the body: u16 bytes of the meta data, the
 * meta data (JSON), the payload. A segment ends at the first frame that is short or does not match its checksum: what a
 * crash has torn was never acted upon.
 */
const number = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);

/** Which bytes of which ring a batch holds, so that a successor can tell a drain that was saved and not committed. */
const ringMark = z.object({
  boot: z.string().max(64),
  map: number,
  from: z.string().regex(/^\d{1,20}$/),
  bytes: number,
});
export type RingMark = z.infer<typeof ringMark>;

const metaSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('batch'),
    stream: z.enum(streams),
    epoch: number,
    number,
    run: z.string().max(64),
    count: number,
    ring: ringMark.optional(),
  }),
  z.object({
    kind: z.literal('ack'),
    stream: z.enum(streams),
    epoch: number,
    ranges: z.array(z.tuple([number, number])),
  }),
]);
export type FrameMeta = z.infer<typeof metaSchema>;
export type BatchMeta = Extract<FrameMeta, { kind: 'batch' }>;

const HEAD_BYTES = 8;
const META_LENGTH_BYTES = 2;
const BODY_BYTES_MAX = 256 * 1024;

/** Where a frame stands in its segment. */
export interface FramePlace {
  readonly meta: FrameMeta;
  readonly payloadOffset: number;
  readonly payloadBytes: number;
}

export function encodeFrame(meta: FrameMeta, payload: Uint8Array): Buffer {
  const metaBytes = Buffer.from(JSON.stringify(meta), 'utf8');
  const bodyBytes = META_LENGTH_BYTES + metaBytes.length + payload.length;
  const frame = Buffer.allocUnsafe(HEAD_BYTES + bodyBytes);
  frame.writeUInt16LE(metaBytes.length, HEAD_BYTES);
  metaBytes.copy(frame, HEAD_BYTES + META_LENGTH_BYTES);
  frame.set(payload, HEAD_BYTES + META_LENGTH_BYTES + metaBytes.length);
  frame.writeUInt32LE(bodyBytes, 0);
  frame.writeUInt32LE(crc32(frame.subarray(HEAD_BYTES)), 4);
  return frame;
}

/** Every whole frame from the start, and how many bytes they take. */
export function scanFrames(bytes: Buffer): { frames: FramePlace[]; goodBytes: number } {
  const frames: FramePlace[] = [];
  let at = 0;
  while (at + HEAD_BYTES + META_LENGTH_BYTES <= bytes.length) {
    const bodyBytes = bytes.readUInt32LE(at);
    const end = at + HEAD_BYTES + bodyBytes;
    if (bodyBytes < META_LENGTH_BYTES || bodyBytes > BODY_BYTES_MAX || end > bytes.length) break;
    const body = bytes.subarray(at + HEAD_BYTES, end);
    if (crc32(body) !== bytes.readUInt32LE(at + 4)) break;
    const metaEnd = META_LENGTH_BYTES + body.readUInt16LE(0);
    const meta = metaEnd <= body.length ? parseMeta(body.subarray(META_LENGTH_BYTES, metaEnd)) : undefined;
    if (!meta) break;
    frames.push({ meta, payloadOffset: at + HEAD_BYTES + metaEnd, payloadBytes: body.length - metaEnd });
    at = end;
  }
  return { frames, goodBytes: at };
}

function parseMeta(bytes: Buffer): FrameMeta | undefined {
  try {
    return metaSchema.parse(JSON.parse(bytes.toString('utf8')));
  } catch {
    return undefined;
  }
}
