const DECODER = new TextDecoder('utf-8', { ignoreBOM: true });

/** A char array as text: it ends at the first NUL, and invalid UTF-8 is replaced by U+FFFD. */
export function readText(view: DataView, start: number, end: number): string {
  let text = '';
  for (let at = start; at < end; at += 1) {
    const byte = view.getUint8(at);
    if (byte === 0) return text;
    if (byte >= 0x80) {
      const bytes = new Uint8Array(view.buffer, view.byteOffset + start, end - start);
      const nul = bytes.indexOf(0);
      return DECODER.decode(nul < 0 ? bytes : bytes.subarray(0, nul));
    }
    text += String.fromCharCode(byte);
  }
  return text;
}

/** A copy, so that the record's buffer can be used again. */
export function readBytes(view: DataView, start: number, end: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + start, end - start).slice();
}

/**
 * A bitfield that crosses the words it could be read with. `offsetBits` counts from `start`: from the lowest bit of the
 * first byte on little-endian machines, from the highest on others.
 */
export function readBits(
  view: DataView,
  start: number,
  offsetBits: number,
  bits: number,
  signed: boolean,
  littleEndian: boolean,
): bigint {
  const first = offsetBits >> 3;
  const last = (offsetBits + bits - 1) >> 3;
  let word = 0n;
  for (let at = first; at <= last; at += 1) {
    const byte = BigInt(view.getUint8(start + at));
    word = littleEndian ? word | (byte << BigInt((at - first) * 8)) : (word << 8n) | byte;
  }
  const low = littleEndian ? offsetBits & 7 : (last + 1) * 8 - offsetBits - bits;
  return signed ? BigInt.asIntN(bits, word >> BigInt(low)) : BigInt.asUintN(bits, word >> BigInt(low));
}

/** Whether 16 bytes are `::ffff:a.b.c.d`. */
export function isMappedIpv4(address: Uint8Array): boolean {
  for (let at = 0; at < 10; at += 1) if (address[at] !== 0) return false;
  return address[10] === 0xff && address[11] === 0xff;
}
