import { bestNowMs, type TrustedTime } from '../core/trusted-time.js';
import type { BootClock } from '../kernel/boot-clock.js';
import type { BatchTime } from './sealer.js';

/** The kernel's clocks and the best known time of day, in one moment. Trusted once a `fresh` was heard in this boot. */
export function readBatchTime(clock: BootClock, trusted: TrustedTime | undefined): BatchTime {
  const { boottimeNs, monotonicNs, realtimeNs } = clock.read();
  const now = { bootId: clock.bootId, seconds: Number(boottimeNs) / 1e9 };
  const systemMs = Number(realtimeNs / 1_000_000n);
  const bestMs = bestNowMs(trusted, systemMs, now);
  return {
    bootId: clock.bootId,
    boottimeNs: boottimeNs.toString(),
    monotonicNs: monotonicNs.toString(),
    // While the system clock is right it is also finer.
    realtimeNs: (bestMs === systemMs ? realtimeNs : BigInt(Math.round(bestMs)) * 1_000_000n).toString(),
    trusted: trusted?.heardAt.bootId === clock.bootId,
  };
}
