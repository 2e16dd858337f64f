import type { BatchHeader } from '@bpfleet/wire';

/** One batch whose header was read; its body is still deflated. */
export interface QueuedBatch {
  readonly device: string;
  readonly header: BatchHeader;
  readonly body: Uint8Array;
  readonly receivedAtMs: number;
}

export interface QueueLimits {
  /** Of all batches together, those that are being written included. */
  readonly queueBytesMax: number;
  /** Of one device, so that one that floods takes no room from the others. */
  readonly deviceBytesMax: number;
  /** What one transaction may take: by size on the wire, by the size that the headers state, by number. */
  readonly takeBytesMax: number;
  readonly takeRawBytesMax: number;
  readonly takeBatchesMax: number;
}

export const queueLimits: QueueLimits = {
  queueBytesMax: 64 * 1024 * 1024,
  deviceBytesMax: 8 * 1024 * 1024,
  takeBytesMax: 2 * 1024 * 1024,
  takeRawBytesMax: 4 * 1024 * 1024,
  takeBatchesMax: 256,
};

/** A parsed header takes about so much beside the body. */
const HEADER_BYTES = 2048;

/**
 * Batches between the broker and the writer, in the order they came. Bounded: what does not fit is not taken, the device
 * gets no acknowledgement and sends it again later. A batch that is waiting already is not taken twice.
 */
export class BatchQueue {
  private waiting: QueuedBatch[] = [];
  private readonly keys = new Set<string>();
  private readonly deviceBytes = new Map<string, number>();
  private totalBytes = 0;
  private wake: (() => void) | undefined;

  constructor(private readonly limits: QueueLimits = queueLimits) {}

  offer(batch: QueuedBatch): 'queued' | 'duplicate' | 'full' {
    const key = keyOf(batch);
    if (this.keys.has(key)) return 'duplicate';
    const bytes = bytesOf(batch);
    const ofDevice = (this.deviceBytes.get(batch.device) ?? 0) + bytes;
    if (this.totalBytes + bytes > this.limits.queueBytesMax || ofDevice > this.limits.deviceBytesMax) return 'full';
    this.keys.add(key);
    this.deviceBytes.set(batch.device, ofDevice);
    this.totalBytes += bytes;
    this.waiting.push(batch);
    this.wake?.();
    return 'queued';
  }

  /** Resolves at the next batch that is taken in, or at `wakeUp`. One caller at a time. */
  nextOffer(): Promise<void> {
    return new Promise((resolve) => {
      this.wake = () => {
        this.wake = undefined;
        resolve();
      };
    });
  }

  wakeUp(): void {
    this.wake?.();
  }

  /** Whether one transaction's worth is waiting. */
  get hasFullTake(): boolean {
    let bytes = 0;
    for (const [index, batch] of this.waiting.entries()) {
      bytes += bytesOf(batch);
      if (bytes >= this.limits.takeBytesMax || index + 1 >= this.limits.takeBatchesMax) return true;
    }
    return false;
  }

  /** At least one batch when any is waiting. They count as held until `done` or `putBack`. */
  take(): QueuedBatch[] {
    let bytes = 0;
    let rawBytes = 0;
    let count = 0;
    for (const batch of this.waiting) {
      bytes += bytesOf(batch);
      rawBytes += rawBytesOf(batch.header);
      const over = bytes > this.limits.takeBytesMax || rawBytes > this.limits.takeRawBytesMax;
      if (count > 0 && (over || count >= this.limits.takeBatchesMax)) break;
      count += 1;
    }
    return this.waiting.splice(0, count);
  }

  /** Settled: their room is free again. */
  done(batches: readonly QueuedBatch[]): void {
    for (const batch of batches) {
      if (!this.keys.delete(keyOf(batch))) continue;
      const bytes = bytesOf(batch);
      this.totalBytes -= bytes;
      const left = (this.deviceBytes.get(batch.device) ?? 0) - bytes;
      if (left > 0) this.deviceBytes.set(batch.device, left);
      else this.deviceBytes.delete(batch.device);
    }
  }

  /** Not settled: they come first again. */
  putBack(batches: readonly QueuedBatch[]): void {
    this.waiting = [...batches, ...this.waiting];
  }

  get bytes(): number {
    return this.totalBytes;
  }

  get length(): number {
    return this.waiting.length;
  }

  /** How many unacknowledged batches a device may have on the way: fewer as the queue fills, and never none. */
  get window(): number {
    const fill = this.totalBytes / this.limits.queueBytesMax;
    if (fill < 0.5) return 64;
    if (fill < 0.75) return 16;
    return fill < 0.9 ? 4 : 1;
  }
}

export function keyOf({ device, header }: QueuedBatch): string {
  return `${device}/${header.stream}/${header.epoch}/${header.number}`;
}

function bytesOf({ body }: QueuedBatch): number {
  return body.length + HEADER_BYTES;
}

function rawBytesOf({ sections }: BatchHeader): number {
  return sections.reduce((sum, { stride, items }) => sum + stride * items, 0);
}
