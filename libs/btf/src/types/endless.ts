import type { RawBtf } from './record.js';
import { BTF_KINDS } from './types.js';

const CHAIN_KINDS: ReadonlySet<string> = new Set(['typedef', 'volatile', 'const', 'restrict', 'type_tag']);
const LINKS = BTF_KINDS.map((kind) => CHAIN_KINDS.has(kind));

/**
 * The first name or qualifier whose chain of names and qualifiers has more than `stepsMax` links, undefined where there is
 * none. Reads raw records, so that a kernel's 130,000 take some milliseconds.
 */
export function endlessChain(raw: RawBtf, stepsMax: number): number | undefined {
  const { view, littleEndian, offsets, firstId } = raw;
  for (let index = 0; index < offsets.length; index += 1) {
    let at = offsets[index];
    let steps = 0;
    while (at !== undefined && LINKS[(view.getUint32(at + 4, littleEndian) >>> 24) & 0x1f] === true) {
      if ((steps += 1) > stepsMax) return firstId + index;
      at = offsets[view.getUint32(at + 8, littleEndian) - firstId];
    }
  }
  return undefined;
}
