import { JailError } from './error.js';

/** More work waits for a jail than may; whoever asked can ask again later. */
export class JailBusyError extends JailError {
  override readonly code = 'JAIL_BUSY';
  constructor(readonly waitingMax: number) {
    super(`${waitingMax} requests are waiting already; try again later`, 'a free place in the queue');
    this.name = 'JailBusyError';
  }
}

/** At most `max` pieces of work at once; up to `waitingMax` others wait their turn, first come first served. */
export class Slots {
  private free: number;
  private readonly waiting: (() => void)[] = [];

  constructor(
    max: number,
    private readonly waitingMax = 64,
  ) {
    this.free = max;
  }

  /** Throws JailBusyError when too many wait. */
  async use<T>(work: () => Promise<T>): Promise<T> {
    if (this.free > 0) {
      this.free -= 1;
    } else {
      if (this.waiting.length >= this.waitingMax) throw new JailBusyError(this.waitingMax);
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
    try {
      return await work();
    } finally {
      // The slot goes from hand to hand, so that a newcomer cannot overtake one that waits.
      const next = this.waiting.shift();
      if (next) next();
      else this.free += 1;
    }
  }
}
