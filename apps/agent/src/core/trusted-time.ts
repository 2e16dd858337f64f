import { secondsSince, type BootPoint } from './lease.js';

/** The newest time a `fresh` has told, and when that was heard. Only ever moves forward. */
export interface TrustedTime {
  readonly realtimeMs: number;
  readonly heardAt: BootPoint;
}

/** The system clock is finer than an answer from a server; it is taken while it agrees with the server this far. */
const agreeMs = 5_000;

/** A time that is older than what the known one has become since is not believed. */
export function hearTime(known: TrustedTime | undefined, realtimeMs: number, now: BootPoint): TrustedTime {
  const floorMs = known ? trustedNowMs(known, now) : 0;
  return realtimeMs >= floorMs ? { realtimeMs, heardAt: now } : { realtimeMs: floorMs, heardAt: now };
}

/** Never before the time that was heard, also in another boot, where nobody knows how much has passed since. */
export function trustedNowMs(known: TrustedTime, now: BootPoint): number {
  const seconds = secondsSince(known.heardAt, now);
  return known.realtimeMs + (Number.isFinite(seconds) ? seconds * 1000 : 0);
}

/** What a batch states as the time of day. */
export function bestNowMs(known: TrustedTime | undefined, systemMs: number, now: BootPoint): number {
  if (!known || known.heardAt.bootId !== now.bootId) return systemMs;
  const trusted = trustedNowMs(known, now);
  return Math.abs(trusted - systemMs) <= agreeMs ? systemMs : trusted;
}
