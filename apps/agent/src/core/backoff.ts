export interface Backoff {
  readonly minMs: number;
  readonly maxMs: number;
}

/** Reconnecting to a broker: a fleet that lost its broker at one moment must not come back at one moment. */
export const reconnectBackoff: Backoff = { minMs: 1_000, maxMs: 300_000 };
/** A run that could not be fetched, loaded or attached for a reason that may pass. */
export const runBackoff: Backoff = { minMs: 5_000, maxMs: 3_600_000 };
/** A run whose hook is not there: what brings it, a module or a package, comes seldom, and each try loads everything anew. */
export const hookBackoff: Backoff = { minMs: 600_000, maxMs: 86_400_000 };
/** A state folder that cannot be written. */
export const stateBackoff: Backoff = { minMs: 1_000, maxMs: 60_000 };
/** A batch that the server did not acknowledge. */
export const resendBackoff: Backoff = { minMs: 10_000, maxMs: 300_000 };

/** Full jitter: anywhere between the minimum and the exponential ceiling. `random` is in [0, 1). */
export function fullJitterMs(attempt: number, { minMs, maxMs }: Backoff, random: number): number {
  return Math.round(minMs + random * (ceilingMs(attempt, { minMs, maxMs }) - minMs));
}

/** minMs · 2^attempt, at most maxMs. Attempts count from 0. */
export function ceilingMs(attempt: number, { minMs, maxMs }: Backoff): number {
  return Math.min(maxMs, minMs * 2 ** Math.min(Math.max(attempt, 0), 30));
}

/** `base` ± `share` of it, so that a fleet's timers spread out. */
export function spreadMs(baseMs: number, share: number, random: number): number {
  return Math.round(baseMs * (1 - share + 2 * share * random));
}
