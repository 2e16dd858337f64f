import { encodeUploadChunk, limits, type Command, type RunError, type UpTopic } from '@bpfleet/wire';
import { readBtf } from '../kernel/btf-file.js';

/** A chunk has some 40 KiB: this leaves room on the link for telemetry, reports and commands. */
const INTERVAL_MS = 100;

export interface BtfGiverOptions {
  readonly path: string;
  /** Of the file, as this agent told it at birth; null where the kernel has none. */
  readonly digest: string | null;
  /** Resolves when the broker has it. */
  readonly publish: (topic: UpTopic, payload: Buffer) => Promise<void>;
  readonly monotonicMs: () => number;
  readonly intervalMs?: number;
}

type Asked = NonNullable<Command['blob']>;

/**
 * Gives the kernel's BTF to a server that does not know it, one chunk for each question, never two at a time and not
 * faster than every `intervalMs`. It keeps nothing: the server knows what it has, and asks again for what was lost.
 */
export class BtfGiver {
  private next: Asked | undefined;
  private sending = false;
  private timer: NodeJS.Timeout | undefined;
  private sentAtMs = Number.NEGATIVE_INFINITY;

  constructor(private readonly options: BtfGiverOptions) {}

  /** Why the question is not answered; else a chunk is on its way, in place of one that was asked for and not yet sent. */
  ask(asked: Asked | undefined): RunError | undefined {
    const { digest } = this.options;
    if (digest === null) return { code: 'BTF_MISSING', message: 'this kernel shows no BTF' };
    if (asked?.digest !== digest) {
      return { code: 'BTF_OTHER', message: `this kernel's BTF is ${digest}` };
    }
    this.next = asked;
    this.schedule();
    return undefined;
  }

  stop(): void {
    this.next = undefined;
    clearTimeout(this.timer);
  }

  private schedule(): void {
    if (this.sending || !this.next) return;
    const { intervalMs = INTERVAL_MS, monotonicMs } = this.options;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.send(), Math.max(0, this.sentAtMs + intervalMs - monotonicMs()));
  }

  private async send(): Promise<void> {
    const asked = this.next;
    if (!asked) return;
    this.next = undefined;
    this.sending = true;
    try {
      const { totalBytes, bytes } = readBtf(this.options.path, asked.offset, limits.uploadChunkRawBytesMax);
      if (bytes.length === 0) return;
      const payload = encodeUploadChunk(asked.offset, totalBytes, bytes);
      await this.options.publish({ kind: 'blob', digest: asked.digest }, payload);
    } catch {
      // The link was lost, or the file is gone: the server asks again, here or elsewhere.
    } finally {
      this.sending = false;
      this.sentAtMs = this.options.monotonicMs();
      this.schedule();
    }
  }
}
