import { WireError } from './errors.js';
import { limits } from './limits.js';

/** `dn/blob/{rid}`: u64 offset, u64 total bytes of the blob (little endian), then the chunk. An empty payload means: no such blob. */
export interface BlobChunk {
  readonly offset: number;
  readonly totalBytes: number;
  readonly bytes: Uint8Array;
}

const HEADER_BYTES = 16;

export function encodeBlobChunk(chunk: BlobChunk): Buffer {
  const out = Buffer.alloc(HEADER_BYTES + chunk.bytes.length);
  out.writeBigUInt64LE(BigInt(chunk.offset), 0);
  out.writeBigUInt64LE(BigInt(chunk.totalBytes), 8);
  out.set(chunk.bytes, HEADER_BYTES);
  return out;
}

/** Undefined for "no such blob". Throws WIRE_MESSAGE when offset, total and length do not fit together. */
export function decodeBlobChunk(payload: Uint8Array): BlobChunk | undefined {
  if (payload.length === 0) return undefined;
  if (payload.length < HEADER_BYTES || payload.length > HEADER_BYTES + limits.blobChunkBytesMax) {
    throw new WireError('WIRE_MESSAGE', `a blob chunk of ${payload.length} bytes is not possible`);
  }
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const offset = Number(view.getBigUint64(0, true));
  const totalBytes = Number(view.getBigUint64(8, true));
  const bytes = payload.subarray(HEADER_BYTES);
  if (!Number.isSafeInteger(totalBytes) || offset + bytes.length > totalBytes) {
    throw new WireError('WIRE_MESSAGE', 'the chunk reaches beyond the end of its blob');
  }
  return { offset, totalBytes, bytes };
}
