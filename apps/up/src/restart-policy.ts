/** When a process that died is started again: at once at first, then slower, and not for ever. */
export interface RestartLimits {
  readonly firstDelayMs: number;
  readonly delayMsMax: number;
  /** This many restarts within `windowMs` are one too many. */
  readonly restartsMax: number;
  readonly windowMs: number;
}

export const RESTART_LIMITS: RestartLimits = {
  firstDelayMs: 500,
  delayMsMax: 30_000,
  restartsMax: 8,
  windowMs: 10 * 60_000,
};

export class RestartPolicy {
  private deaths: number[] = [];

  constructor(private readonly limits: RestartLimits = RESTART_LIMITS) {}

  /** How long to wait before starting again after a death at `nowMs`; undefined: give up. */
  delayAfterDeath(nowMs: number): number | undefined {
    this.deaths = [...this.deaths.filter((at) => nowMs - at < this.limits.windowMs), nowMs];
    if (this.deaths.length > this.limits.restartsMax) return undefined;
    return Math.min(this.limits.firstDelayMs * 2 ** (this.deaths.length - 1), this.limits.delayMsMax);
  }
}
