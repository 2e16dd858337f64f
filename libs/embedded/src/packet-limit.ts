/**
 * Follows the lengths of MQTT packets in a byte stream (MQTT 3.1.1 §2.2: one type byte, then one to four bytes of
 * remaining length) and says when one is announced that is too big. The parser behind it would buffer up to 256 MiB.
 */
export class PacketLimit {
  private bodyBytesLeft = 0;
  private header: 'type' | 'length' = 'type';
  private length = 0;
  private lengthBytes = 0;

  constructor(private readonly packetBytesMax: number) {}

  /** false as soon as a packet announces more than `packetBytesMax` bytes or a malformed length; then the stream is done. */
  accept(chunk: Uint8Array): boolean {
    let at = 0;
    while (at < chunk.length) {
      if (this.bodyBytesLeft > 0) {
        const step = Math.min(this.bodyBytesLeft, chunk.length - at);
        this.bodyBytesLeft -= step;
        at += step;
        continue;
      }
      if (!this.acceptHeaderByte(chunk[at] as number)) return false;
      at += 1;
    }
    return true;
  }

  private acceptHeaderByte(byte: number): boolean {
    if (this.header === 'type') {
      this.header = 'length';
      this.length = 0;
      this.lengthBytes = 0;
      return true;
    }
    this.length += (byte & 0x7f) * 128 ** this.lengthBytes;
    this.lengthBytes += 1;
    if (1 + this.lengthBytes + this.length > this.packetBytesMax) return false;
    if (byte & 0x80) return this.lengthBytes < 4;
    this.header = 'type';
    this.bodyBytesLeft = this.length;
    return true;
  }
}
