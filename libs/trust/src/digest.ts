import { createHash } from 'node:crypto';

/** SHA-256 of the bytes, 64 lower-case hex digits: how every document and blob is named. */
export function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
