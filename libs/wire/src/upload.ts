import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { WireError } from './errors.js';
import { limits } from './limits.js';

/** `up/blob/{digest}`: u64 offset, u64 total bytes of the blob (little endian, both uncompressed), then the chunk, deflated. */
export interface UploadChunk {
  readonly offset: number;
  readonly totalBytes: number;
  readonly bytes: Uint8Array;
}

const HEADER_BYTES = 16;

/**
 * The beginning of `raw`, which lies at `offset` of the blob: all of it up to `uploadChunkRawBytesMax`, or as much as
 * still fits into a packet when it does not compress.
 */
export function encodeUploadChunk(offset: number, totalBytes: number, raw: Uint8Array): Buffer {
  let bytes = raw.subarray(0, limits.uploadChunkRawBytesMax);
  let deflated = deflateRawSync(bytes);
  while (deflated.length > limits.uploadChunkBytesMax) {
    bytes = bytes.subarray(0, Math.ceil(bytes.length / 2));
    deflated = deflateRawSync(bytes);
  }
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeBigUInt64LE(BigInt(offset), 0);
  header.writeBigUInt64LE(BigInt(totalBytes), 8);
  return Buffer.concat([header, deflated]);
}

/** Inflating stops at `uploadChunkRawBytesMax`. Throws WIRE_MESSAGE when offset, total and bytes do not fit together. */
export function decodeUploadChunk(payload: Uint8Array): UploadChunk {
  if (payload.length <= HEADER_BYTES || payload.length > HEADER_BYTES + limits.uploadChunkBytesMax) {
    throw new WireError('WIRE_MESSAGE', `an upload chunk of ${payload.length} bytes is not possible`);
  }
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const offset = Number(view.getBigUint64(0, true));
  const totalBytes = Number(view.getBigUint64(8, true));
  if (totalBytes > limits.uploadBytesMax) {
    throw new WireError('WIRE_MESSAGE', `the blob has ${totalBytes} bytes; at most ${limits.uploadBytesMax} are taken`);
  }
  const bytes = inflate(payload.subarray(HEADER_BYTES));
  if (bytes.length === 0 || offset + bytes.length > totalBytes) {
    throw new WireError('WIRE_MESSAGE', 'the chunk is empty or reaches beyond the end of its blob');
  }
  return { offset, totalBytes, bytes };
}

function inflate(deflated: Uint8Array): Buffer {
  try {
    return inflateRawSync(deflated, { maxOutputLength: limits.uploadChunkRawBytesMax });
  } catch (error) {
    throw new WireError('WIRE_MESSAGE', `the chunk does not inflate: ${(error as Error).message}`);
  }
}
