/** At most `max` pieces of work at once; up to `waitingMax` others wait their turn, first come first served. */
export class Slots {
  private free: number;
  private readonly waiting: (() => void)[] = [];

  constructor(
    max: number,
    private readonly waitingMax: number,
    /** What is thrown when too many wait. */
    private readonly full: () => Error,
  ) {
    this.free = max;
  }

  async use<T>(work: () => Promise<T>): Promise<T> {
    if (this.free > 0) {
      this.free -= 1;
    } else {
      if (this.waiting.length >= this.waitingMax) throw this.full();
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
