/** The budget fuse: over the CPU budget for this many windows in a row, and the run is taken off. */
export const cpuWindows = 3;
export const cpuWindowSeconds = 10;

export interface CpuFuse {
  readonly runTimeNs: bigint;
  readonly atSeconds: number;
  readonly windowsOver: number;
}

export interface CpuVerdict {
  readonly fuse: CpuFuse;
  readonly cpuPercent: number;
  readonly blown: boolean;
}

/** Percent are of one CPU. Undefined until a whole window has passed. */
export function measureCpu(
  fuse: CpuFuse,
  now: { runTimeNs: bigint; seconds: number },
  budgetPercent: number,
): CpuVerdict | undefined {
  const seconds = now.seconds - fuse.atSeconds;
  if (seconds < cpuWindowSeconds) return undefined;
  // Counters begin anew with a new load of the program.
  const spentNs = now.runTimeNs > fuse.runTimeNs ? Number(now.runTimeNs - fuse.runTimeNs) : 0;
  const cpuPercent = spentNs / (seconds * 1e7);
  const windowsOver = cpuPercent > budgetPercent ? fuse.windowsOver + 1 : 0;
  return {
    fuse: { runTimeNs: now.runTimeNs, atSeconds: now.seconds, windowsOver },
    cpuPercent,
    blown: windowsOver >= cpuWindows,
  };
}

/** Token bucket with room for one second of events. */
export class EventRate {
  private tokens: number;
  private atSeconds: number;

  constructor(
    private readonly eventsPerSecond: number,
    nowSeconds: number,
  ) {
    this.tokens = eventsPerSecond;
    this.atSeconds = nowSeconds;
  }

  /** How many of `wanted` events are inside the budget now. */
  take(wanted: number, nowSeconds: number): number {
    const refill = Math.max(0, nowSeconds - this.atSeconds) * this.eventsPerSecond;
    this.tokens = Math.min(this.eventsPerSecond, this.tokens + refill);
    this.atSeconds = nowSeconds;
    const granted = Math.min(wanted, Math.floor(this.tokens));
    this.tokens -= granted;
    return granted;
  }
}
