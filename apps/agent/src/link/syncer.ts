import { ceilingMs, fullJitterMs, spreadMs, type Backoff } from '../core/backoff.js';

const SYNC_EVERY_MS = 6 * 3_600_000;
const SYNC_SPREAD = 0.25;

/** How long an answer is waited for. */
export const answerBackoff: Backoff = { minMs: 5_000, maxMs: 300_000 };

export interface SyncerOptions {
  /** `again`: the last question had no answer, so whoever listens now may know nothing of this device. */
  readonly ask: (again: boolean) => Promise<void>;
  readonly random: () => number;
  readonly answer?: Backoff;
}

/** Asks "is what I hold still what you want?" on connecting, on a hint, and every six hours, until it is answered. */
export class Syncer {
  private timer: NodeJS.Timeout | undefined;
  private unanswered = 0;
  private connected = false;

  constructor(private readonly options: SyncerOptions) {}

  connect(): void {
    this.connected = true;
    this.unanswered = 0;
    this.sync();
  }

  disconnect(): void {
    this.connected = false;
    clearTimeout(this.timer);
  }

  /** Now. The last question's answer is not waited for any more. */
  sync(): void {
    this.question(false);
  }

  answered(): void {
    this.unanswered = 0;
    if (this.connected) this.schedule(spreadMs(SYNC_EVERY_MS, SYNC_SPREAD, this.options.random()), false);
  }

  private question(again: boolean): void {
    if (!this.connected) return;
    this.options.ask(again).catch(() => undefined);
    const backoff = this.options.answer ?? answerBackoff;
    const spread = fullJitterMs(this.unanswered + 1, backoff, this.options.random());
    this.schedule(Math.max(spread, ceilingMs(this.unanswered, backoff)), true);
    this.unanswered += 1;
  }

  private schedule(waitMs: number, again: boolean): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.question(again), waitMs);
  }
}
