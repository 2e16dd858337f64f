import type { Logger } from '@nestjs/common';

/**
 * Runs `work` when woken and from time to time, never twice at once. A wake-up during a round makes one more round: what
 * was announced while the round was reading is not missed. `work` says whether there is more right away.
 */
export class Pump {
  private timer: NodeJS.Timeout | undefined;
  private round: Promise<void> | undefined;
  private again = false;
  private stopped = false;

  constructor(
    private readonly work: () => Promise<boolean>,
    private readonly intervalMs: number,
    private readonly log: Pick<Logger, 'warn'>,
  ) {}

  start(): void {
    this.timer = setInterval(() => this.wake(), this.intervalMs);
    this.timer.unref();
    this.wake();
  }

  wake(): void {
    if (this.stopped) return;
    this.again = true;
    this.round ??= this.rounds().finally(() => (this.round = undefined));
  }

  /** Resolves when the round in progress is over; no other begins. */
  async stop(): Promise<void> {
    this.stopped = true;
    clearInterval(this.timer);
    await this.round;
  }

  private async rounds(): Promise<void> {
    while (this.again && !this.stopped) {
      this.again = false;
      try {
        if (await this.work()) this.again = true;
      } catch (error) {
        // The next wake-up or the timer tries again; going on at once would spin while Postgres or the broker is down.
        this.log.warn((error as Error).message);
        return;
      }
    }
  }
}
