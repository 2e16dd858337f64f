import { spreadMs } from '../core/backoff.js';

const SYNC_EVERY_MS = 6 * 3_600_000;
const SYNC_SPREAD = 0.25;
const ANSWER_WITHIN_MS = 30_000;
const ANSWER_WITHIN_MS_MAX = 300_000;

/** Asks "is what I hold still what you want?" on connecting, on a hint, and every six hours, until it is answered. */
export class Syncer {
  private timer: NodeJS.Timeout | undefined;
  private unanswered = 0;
  private connected = false;

  constructor(
    private readonly ask: () => Promise<void>,
    private readonly random: () => number,
  ) {}

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
    if (!this.connected) return;
    this.ask().catch(() => undefined);
    this.schedule(Math.min(ANSWER_WITHIN_MS * 2 ** Math.min(this.unanswered, 8), ANSWER_WITHIN_MS_MAX));
    this.unanswered += 1;
  }

  answered(): void {
    this.unanswered = 0;
    if (this.connected) this.schedule(spreadMs(SYNC_EVERY_MS, SYNC_SPREAD, this.random()));
  }

  private schedule(waitMs: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.sync(), waitMs);
  }
}
