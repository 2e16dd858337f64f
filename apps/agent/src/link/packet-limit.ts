/**
 * Follows the lengths of MQTT packets in a byte stream (MQTT 3.1.1 §2.2) and says when one is announced that is too big: a
 * hostile broker could make the parser behind it collect 256 MiB.
 */
export class PacketLimit {
  private bodyBytesLeft = 0;
  private lengthBytes = -1;
  private length = 0;

  constructor(private readonly packetBytesMax: number) {}

  /** false once the stream has announced a packet that must not be read; then it is done. */
  accept(chunk: Uint8Array): boolean {
    for (let at = 0; at < chunk.length;) {
      if (this.bodyBytesLeft > 0) {
        const step = Math.min(this.bodyBytesLeft, chunk.length - at);
        this.bodyBytesLeft -= step;
        at += step;
      } else if (!this.acceptHeader(chunk[at++] as number)) return false;
    }
    return true;
  }

  private acceptHeader(byte: number): boolean {
    if (this.lengthBytes < 0) {
      this.lengthBytes = 0;
      this.length = 0;
      return true;
    }
    this.length += (byte & 0x7f) * 128 ** this.lengthBytes;
    this.lengthBytes += 1;
    if (this.length > this.packetBytesMax) return false;
    if (byte & 0x80) return this.lengthBytes < 4;
    this.bodyBytesLeft = this.length;
    this.lengthBytes = -1;
    return true;
  }
}
