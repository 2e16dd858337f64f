import type { Ack, Stream } from '@bpfleet/wire';
import { ceilingMs, fullJitterMs, resendBackoff } from '../core/backoff.js';
import type { HeldBatch, Spool } from '../store/spool.js';

/** Every nth batch is the oldest one: newest first must not keep the oldest waiting for ever. */
const BACKFILL_EVERY = 4;
const WINDOW_DEFAULT = 32;
const WINDOW_MAX = 256;

/** What may be on its way to the broker: more would only wait in a socket's buffer, outside of every limit. */
const UNSENT_BYTES_MAX = 512 * 1024;

interface InFlight {
  readonly attempts: number;
  /** Never, before the broker has it: on a slow link that takes minutes, and a second copy would double them. */
  dueAtMs: number;
}

export interface SenderOptions {
  readonly spool: Spool;
  /** Resolves when the broker has it. A rejection is as good as silence: the batch is sent again later. */
  readonly publish: (stream: Stream, payload: Buffer) => Promise<void>;
  readonly monotonicMs: () => number;
  readonly random: () => number;
}

/**
 * Sends what the spool holds, newest first, until the server has acknowledged it. The broker's own acknowledgement means
 * nothing here: only a COMMIT does.
 */
export class Sender {
  /** Not on their way, oldest first. */
  private queue: HeldBatch[] = [];
  private readonly inFlight = new Map<HeldBatch, InFlight>();
  private window = WINDOW_DEFAULT;
  private connected = false;
  private turn = 0;
  /** Handed to this connection, and not taken by the broker yet. Of a connection that went, nobody may ever tell. */
  private unsent = { bytes: 0 };
  /** Acknowledgements that named nothing we hold: late duplicates, mostly. */
  ignoredAcks = 0;

  constructor(private readonly options: SenderOptions) {}

  get unacknowledged(): number {
    return this.inFlight.size;
  }

  /** Whatever was on its way is so no more. The window opens again: the server that closed it may be another one now. */
  connect(): void {
    this.connected = true;
    this.window = WINDOW_DEFAULT;
    this.resend();
  }

  disconnect(): void {
    this.connected = false;
    this.unsent = { bytes: 0 };
    this.inFlight.clear();
  }

  /** Everything that is held anew, as a command of the server asks. */
  resend(): void {
    this.inFlight.clear();
    this.queue = this.options.spool.all();
    this.pump();
  }

  stored(batches: readonly HeldBatch[]): void {
    // Nobody drains the queue while the link is down; `connect` builds it from the spool.
    if (!this.connected) return;
    this.queue.push(...batches);
    this.pump();
  }

  acknowledge(stream: Stream, ack: Ack): void {
    const settled = this.options.spool.ack(stream, ack.epoch, ack.ranges);
    if (settled.length === 0) this.ignoredAcks += 1;
    for (const batch of settled) this.inFlight.delete(batch);
    this.window = Math.min(ack.window, WINDOW_MAX);
    this.pump();
  }

  /** Call it now and then: sends again what has waited too long for its acknowledgement. */
  tick(): void {
    const now = this.options.monotonicMs();
    if (!this.connected || this.window === 0) return;
    for (const [batch, flight] of this.inFlight) {
      if (!this.options.spool.has(batch)) this.inFlight.delete(batch);
      else if (flight.dueAtMs <= now) this.send(batch, flight.attempts + 1);
    }
    this.pump();
  }

  private pump(): void {
    while (this.connected && this.inFlight.size < this.window && this.unsent.bytes < UNSENT_BYTES_MAX) {
      const batch = this.take();
      if (!batch) return;
      if (this.options.spool.has(batch) && !this.inFlight.has(batch)) this.send(batch, 0);
    }
  }

  private take(): HeldBatch | undefined {
    this.turn = (this.turn + 1) % BACKFILL_EVERY;
    return this.turn === 0 ? this.queue.shift() : this.queue.pop();
  }

  /** A disk that does not give it back now is as good as silence. */
  private read(batch: HeldBatch): Buffer | undefined {
    try {
      return this.options.spool.payload(batch);
    } catch {
      return undefined;
    }
  }

  private send(batch: HeldBatch, attempts: number): void {
    const flight: InFlight = { attempts, dueAtMs: Number.POSITIVE_INFINITY };
    this.inFlight.set(batch, flight);
    const payload = this.read(batch);
    const sent = payload ? this.options.publish(batch.meta.stream, payload) : Promise.resolve();
    const { unsent } = this;
    const bytes = payload?.length ?? 0;
    unsent.bytes += bytes;
    const settled = (): void => {
      unsent.bytes -= bytes;
      // Never sooner than the first wait: a slow server must not be asked to work twice.
      const spread = fullJitterMs(attempts, resendBackoff, this.options.random());
      flight.dueAtMs = this.options.monotonicMs() + Math.max(spread, ceilingMs(attempts, resendBackoff) / 2);
      this.pump();
    };
    sent.then(settled, settled);
  }
}
