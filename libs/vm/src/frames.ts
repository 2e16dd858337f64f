/**
 * The framing of the control channel between the harness and the guest: a byte stream (a virtio-serial port) that carries
 * several exchanges at once. A frame is `BV`, the kind (u8), 0 (u8), the exchange (u32), the payload's length (u32), all little
 * endian, and the payload. The guest's half runs in the VM, so this file imports nothing.
 */

export const FRAME = {
  /** Host to guest: starts an exchange; JSON, an `OpenRequest`. */
  open: 1,
  /** Host to guest: bytes for the standard input or the file. */
  data: 2,
  /** Host to guest: no more bytes come. */
  end: 3,
  /** Host to guest: the process is to get a signal; its name in ASCII. */
  signal: 4,
  /** Guest to host: the control service is up; JSON, a `Hello`. */
  hello: 16,
  /** Guest to host: standard output, or the file's bytes. */
  stdout: 17,
  stderr: 18,
  /** Guest to host: the exchange is over; JSON, an `Outcome`. */
  outcome: 19,
  /** Guest to host: so many bytes of `data` (u32) were taken, so many more may come. */
  credit: 20,
} as const;

export type FrameKind = (typeof FRAME)[keyof typeof FRAME];

export interface Frame {
  readonly kind: number;
  readonly exchange: number;
  readonly payload: Uint8Array;
}

export type OpenRequest =
  | {
      readonly what: 'exec';
      readonly argv: readonly string[];
      readonly cwd?: string;
      readonly env?: Readonly<Record<string, string>>;
    }
  | { readonly what: 'put'; readonly path: string; readonly mode: number }
  | { readonly what: 'get'; readonly path: string };

export interface Outcome {
  readonly code: number | null;
  readonly signal: string | null;
  /** What kept the request from being carried out: no such program, no such file. */
  readonly error?: string;
}

export interface Hello {
  readonly bootId: string;
  readonly release: string;
  readonly machine: string;
  /** What Node was built for, so the user land: `arm` may run on a 64-bit kernel. */
  readonly arch: string;
  readonly node: string;
  readonly uptimeMs: number;
}

export const PAYLOAD_BYTES_MAX = 64 * 1024;
/** What may be under way to the guest in one exchange: a process that reads nothing must not hold up the others. */
export const WINDOW_BYTES = 512 * 1024;
const HEADER_BYTES = 12;
const MAGIC_0 = 0x42;
const MAGIC_1 = 0x56;

export function frame(kind: FrameKind, exchange: number, payload: Uint8Array): Uint8Array {
  if (payload.byteLength > PAYLOAD_BYTES_MAX) throw new RangeError(`a frame of ${payload.byteLength} bytes`);
  const bytes = new Uint8Array(HEADER_BYTES + payload.byteLength);
  const view = new DataView(bytes.buffer);
  bytes[0] = MAGIC_0;
  bytes[1] = MAGIC_1;
  bytes[2] = kind;
  view.setUint32(4, exchange, true);
  view.setUint32(8, payload.byteLength, true);
  bytes.set(payload, HEADER_BYTES);
  return bytes;
}

export function jsonFrame(kind: FrameKind, exchange: number, value: unknown): Uint8Array {
  return frame(kind, exchange, new TextEncoder().encode(JSON.stringify(value)));
}

export function readJson(one: Frame): unknown {
  return JSON.parse(new TextDecoder().decode(one.payload));
}

/** Puts frames together again out of whatever pieces the stream comes in. */
export class FrameReader {
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  /** So many bytes must be there before it is worth looking: joining at each small piece would cost the square of a frame. */
  #wantedBytes = HEADER_BYTES;

  /**
   * Bytes that are no frame are skipped up to the next one that could be: a guest that was reset stops in mid-frame. Call
   * `reset` when that is known to have happened, since half a frame also swallows the beginning of the next.
   */
  push(chunk: Uint8Array): Frame[] {
    this.#pending.push(chunk);
    this.#pendingBytes += chunk.byteLength;
    if (this.#pendingBytes < this.#wantedBytes) return [];
    const bytes = new Uint8Array(this.#pendingBytes);
    let filled = 0;
    for (const piece of this.#pending) {
      bytes.set(piece, filled);
      filled += piece.byteLength;
    }
    const frames: Frame[] = [];
    const rest = this.#take(bytes, frames);
    this.#pending = rest.byteLength === 0 ? [] : [rest];
    this.#pendingBytes = rest.byteLength;
    return frames;
  }

  reset(): void {
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#wantedBytes = HEADER_BYTES;
  }

  /** Adds the whole frames to `frames`; returns what is left over. */
  #take(bytes: Uint8Array, frames: Frame[]): Uint8Array {
    const view = new DataView(bytes.buffer);
    let at = 0;
    this.#wantedBytes = HEADER_BYTES;
    while (bytes.byteLength - at >= HEADER_BYTES) {
      const length = view.getUint32(at + 8, true);
      if (bytes[at] !== MAGIC_0 || bytes[at + 1] !== MAGIC_1 || bytes[at + 3] !== 0 || length > PAYLOAD_BYTES_MAX) {
        at += 1;
        continue;
      }
      const end = at + HEADER_BYTES + length;
      if (end > bytes.byteLength) {
        this.#wantedBytes = end - at;
        break;
      }
      const payload = bytes.subarray(at + HEADER_BYTES, end);
      frames.push({ kind: bytes[at + 2] as number, exchange: view.getUint32(at + 4, true), payload });
      at = end;
    }
    return bytes.subarray(at);
  }
}
