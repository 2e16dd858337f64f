/** linux/auxvec.h. */
const AT_NULL = 0n;
const AT_PAGESZ = 6n;
const PAGE_BYTES_MIN = 4096n;
const PAGE_BYTES_MAX = 1n << 20n;

export interface AuxiliaryVectorOf {
  /** Of the program whose vector it is: its words are as wide as the program's, whatever the kernel is. */
  readonly userBits: 32 | 64;
  /** As `os.endianness()` says it. */
  readonly endianness: 'LE' | 'BE';
}

/**
 * The size of the kernel's pages in bytes, out of a `/proc/<pid>/auxv`: what the kernel hands each program that it starts
 * (getauxval(3)), so that no build option can take it away as it can smaps (CONFIG_PROC_PAGE_MONITOR). It is a part of the kernel
 * group's id: an agent on a device and the lab that boots the same kernel have to read it alike.
 * Undefined for bytes that do not say it, or say a size that no kernel has.
 */
export function pageBytesOf(auxv: Uint8Array, { userBits, endianness }: AuxiliaryVectorOf): number | undefined {
  const view = new DataView(auxv.buffer, auxv.byteOffset, auxv.byteLength);
  const wordBytes = userBits / 8;
  const little = endianness === 'LE';
  const word = (at: number): bigint =>
    userBits === 32 ? BigInt(view.getUint32(at, little)) : view.getBigUint64(at, little);
  for (let at = 0; at + 2 * wordBytes <= auxv.byteLength; at += 2 * wordBytes) {
    const type = word(at);
    if (type === AT_NULL) return undefined;
    if (type === AT_PAGESZ) return plausible(word(at + wordBytes));
  }
  return undefined;
}

function plausible(bytes: bigint): number | undefined {
  const isPowerOfTwo = bytes > 0n && (bytes & (bytes - 1n)) === 0n;
  return isPowerOfTwo && bytes >= PAGE_BYTES_MIN && bytes <= PAGE_BYTES_MAX ? Number(bytes) : undefined;
}
