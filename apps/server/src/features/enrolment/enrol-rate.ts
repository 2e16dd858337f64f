import { Injectable } from '@nestjs/common';
import { Clock } from '../../platform/clock.js';
import { DomainError } from '../../platform/errors.js';

const WINDOW_MS = 60_000;
const PER_ADDRESS_MAX = 60;
const TOTAL_MAX = 1_200;
const ADDRESSES_MAX = 10_000;

/**
 * Bounds what strangers can make this process do: checking a request costs a signature. Counted per minute and process;
 * the addresses are forgotten with the minute, so that they cannot fill memory.
 */
@Injectable()
export class EnrolRate {
  private windowStart = 0;
  private total = 0;
  private readonly byAddress = new Map<string, number>();

  constructor(private readonly clock: Clock) {}

  /** Throws ENROL_RATE (429). */
  take(address: string): void {
    const now = this.clock.now().getTime();
    if (now - this.windowStart >= WINDOW_MS || now < this.windowStart) {
      this.windowStart = now;
      this.total = 0;
      this.byAddress.clear();
    }
    const count = this.byAddress.get(address) ?? 0;
    if (this.total >= TOTAL_MAX || count >= PER_ADDRESS_MAX || this.byAddress.size >= ADDRESSES_MAX) {
      throw new DomainError(429, 'ENROL_RATE', 'too many enrolments at once; try again in a minute');
    }
    this.total++;
    this.byAddress.set(address, count + 1);
  }
}
