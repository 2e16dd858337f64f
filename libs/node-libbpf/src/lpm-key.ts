import { requireBuffer, requireInteger } from './arguments.js';
import { u32Codec } from './codec.js';

/** The key of a BPF_MAP_TYPE_LPM_TRIE: struct bpf_lpm_trie_key, a prefix length in bits and the bytes it counts in. */
export function lpmKey(prefixBits: number, bytes: Buffer): Buffer {
  const operation = 'make an LPM key';
  requireBuffer(operation, 'bytes', bytes);
  requireInteger(operation, 'prefixBits', prefixBits, 0, bytes.length * 8);
  const key = Buffer.alloc(4 + bytes.length);
  u32Codec.encode(prefixBits, key, 0);
  bytes.copy(key, 4);
  return key;
}

export function parseLpmKey(key: Buffer): { prefixBits: number; bytes: Buffer } {
  requireBuffer('parse an LPM key', 'key', key);
  return { prefixBits: u32Codec.decode(key, 0), bytes: key.subarray(4) };
}
