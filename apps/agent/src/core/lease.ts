/** A point of CLOCK_BOOTTIME: seconds count in sleep too, and mean nothing in another boot. */
export interface BootPoint {
  readonly bootId: string;
  readonly seconds: number;
}

/** How long ago the last `fresh` was, as known at `at`. Persisted now and then; `elapsedSeconds` is what went before. */
export interface LeaseClock {
  readonly at: BootPoint;
  readonly elapsedSeconds: number;
}

/** A device that boots in a loop must still run out of its lease: each boot counts at least this much. */
export const bootSecondsMin = 600;

export function renewLease(now: BootPoint): LeaseClock {
  return { at: now, elapsedSeconds: 0 };
}

/** The same clock seen from `now`. Between two boots nobody measured: only the minimum is certain. */
export function advanceLease(clock: LeaseClock, now: BootPoint): LeaseClock {
  const passed =
    clock.at.bootId === now.bootId
      ? Math.max(0, now.seconds - clock.at.seconds)
      : Math.max(bootSecondsMin, now.seconds);
  return { at: now, elapsedSeconds: clock.elapsedSeconds + passed };
}

/** Seconds since `since`; infinite when that was in another boot, so that nothing time-boxed outlives its box. */
export function secondsSince(since: BootPoint, now: BootPoint): number {
  return since.bootId === now.bootId ? Math.max(0, now.seconds - since.seconds) : Number.POSITIVE_INFINITY;
}
