import { Injectable, Logger } from '@nestjs/common';
import { Clock } from '../../platform/clock.js';

const WINDOW_MS = 60_000;
const LINES_PER_WINDOW_MAX = 30;
const CODES_MAX = 64;

/** Counts what was dropped, by code, and logs some of it: a device that talks nonsense must not fill the log either. */
@Injectable()
export class Refusals {
  private readonly log = new Logger('ControlDispatcher');
  private readonly counts = new Map<string, number>();
  private windowStart = 0;
  private lines = 0;

  constructor(private readonly clock: Clock) {}

  count(code: string, device: string, message: string): void {
    if (this.counts.has(code) || this.counts.size < CODES_MAX) this.counts.set(code, (this.counts.get(code) ?? 0) + 1);
    const now = this.clock.now().getTime();
    if (now - this.windowStart >= WINDOW_MS) {
      const unsaid = this.lines - LINES_PER_WINDOW_MAX;
      if (unsaid > 0) this.log.warn(`${unsaid} more messages were dropped in that minute`);
      this.windowStart = now;
      this.lines = 0;
    }
    if (++this.lines <= LINES_PER_WINDOW_MAX) this.log.warn(`dropped a message of ${device}: ${code}: ${message}`);
  }

  /** Since the start of this process. */
  snapshot(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.counts);
  }
}
