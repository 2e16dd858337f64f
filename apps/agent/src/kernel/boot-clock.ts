import { readFileSync } from 'node:fs';
import type { BootPoint } from '../core/lease.js';

/** The three clocks of one moment: they tie what programs wrote to the time of day. */
export interface ClockReading {
  readonly boottimeNs: bigint;
  readonly monotonicNs: bigint;
  /** Of the system clock, however wrong. */
  readonly realtimeNs: bigint;
}

// /proc/uptime shows hundredths of a second, cut off.
const UPTIME_STEP_NS = 10_000_000n;
const REALTIME_STEP_LIMIT_NS = 5_000_000n;

/** CLOCK_BOOTTIME, which Node does not offer: its distance to CLOCK_MONOTONIC is the time the machine has slept. */
export class BootClock {
  readonly bootId: string;
  private realtimeOffsetNs: bigint | undefined;

  constructor(private readonly root = '') {
    this.bootId = readFileSync(`${root}/proc/sys/kernel/random/boot_id`, 'utf8').trim();
  }

  monotonicNs(): bigint {
    return process.hrtime.bigint();
  }

  boottimeNs(): bigint {
    const before = this.monotonicNs();
    const uptimeNs = this.uptimeNs();
    const after = this.monotonicNs();
    // The uptime was read between the two: bounds of what it is ahead of the monotonic clock.
    const least = uptimeNs - after;
    const most = uptimeNs + UPTIME_STEP_NS - before;
    // A machine that never slept has both clocks equal, to the nanosecond.
    const asleepNs = least <= 0n && most >= 0n ? 0n : (least + most) / 2n;
    return after + asleepNs;
  }

  now(): BootPoint {
    return { bootId: this.bootId, seconds: Number(this.boottimeNs()) / 1e9 };
  }

  read(): ClockReading {
    const boottimeNs = this.boottimeNs();
    const monotonicNs = this.monotonicNs();
    return { boottimeNs, monotonicNs, realtimeNs: this.realtimeAt(monotonicNs) };
  }

  /** The system clock shows milliseconds, cut off: the largest distance seen is the truest, until somebody sets the clock. */
  private realtimeAt(monotonicNs: bigint): bigint {
    const seen = BigInt(Date.now()) * 1_000_000n - monotonicNs;
    const known = this.realtimeOffsetNs;
    const stepped =
      known === undefined || seen > known + REALTIME_STEP_LIMIT_NS || seen < known - REALTIME_STEP_LIMIT_NS;
    const offset = stepped || seen > known ? seen : known;
    this.realtimeOffsetNs = offset;
    return monotonicNs + offset;
  }

  private uptimeNs(): bigint {
    const [seconds = '0', hundredths = '00'] = (
      readFileSync(`${this.root}/proc/uptime`, 'utf8').split(' ')[0] ?? ''
    ).split('.');
    return BigInt(seconds) * 1_000_000_000n + BigInt(hundredths.padEnd(2, '0').slice(0, 2)) * UPTIME_STEP_NS;
  }
}
