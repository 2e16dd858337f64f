import type { BatchHeader } from '@bpfleet/wire';
import type { EventDecoder } from '@bpfleet/probe';

export interface TimeBounds {
  readonly oldestMicros: number;
  readonly newestMicros: number;
}

/** What a batch may say about time at `nowMs`: one row in 2099 would need a partition that is not there. */
export function timeBounds(nowMs: number, retentionDays: number, futureMsMax: number): TimeBounds {
  return { oldestMicros: (nowMs - retentionDays * 86_400_000) * 1000, newestMicros: (nowMs + futureMsMax) * 1000 };
}

/** Turns the kernel's clocks of one batch into microseconds since 1970, within bounds. */
export class BatchTime {
  /** When the batch was sealed. */
  readonly sealedMicros: number;
  clamped = 0;
  /** Of all times that were given out. */
  fromMicros = Infinity;
  toMicros = -Infinity;
  private readonly realtimeNs: bigint;
  private readonly boottimeOffsetNs: bigint;
  private readonly monotonicOffsetNs: bigint;

  constructor(
    time: BatchHeader['time'],
    receivedAtMs: number,
    private readonly bounds: TimeBounds,
  ) {
    this.realtimeNs = believedRealtime(time, receivedAtMs, bounds);
    this.boottimeOffsetNs = this.realtimeNs - BigInt(time.boottimeNs);
    this.monotonicOffsetNs = this.realtimeNs - BigInt(time.monotonicNs);
    this.sealedMicros = this.within(this.realtimeNs);
  }

  /** Without a time of its own an event counts as of the batch's sealing. */
  micros(clock: EventDecoder['clock'], timeNs: bigint | undefined): number {
    if (timeNs === undefined || clock === undefined) return this.sealedMicros;
    if (clock === 'boottime') return this.within(timeNs + this.boottimeOffsetNs);
    return this.within(clock === 'monotonic' ? timeNs + this.monotonicOffsetNs : timeNs);
  }

  private within(unixNs: bigint): number {
    const micros = Number(unixNs / 1000n);
    const kept = Math.min(Math.max(micros, this.bounds.oldestMicros), this.bounds.newestMicros);
    if (kept !== micros) this.clamped += 1;
    if (kept < this.fromMicros) this.fromMicros = kept;
    if (kept > this.toMicros) this.toMicros = kept;
    return kept;
  }
}

/** A device without a clock that it trusts yet (no RTC: it starts in 1970) is believed when it happens to be plausible. */
function believedRealtime(time: BatchHeader['time'], receivedAtMs: number, bounds: TimeBounds): bigint {
  const said = BigInt(time.realtimeNs);
  if (time.trusted) return said;
  const micros = Number(said / 1000n);
  const plausible = micros > bounds.oldestMicros && micros <= receivedAtMs * 1000;
  return plausible ? said : BigInt(receivedAtMs) * 1_000_000n;
}
