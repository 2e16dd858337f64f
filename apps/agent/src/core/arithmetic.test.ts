import { describe, expect, it } from '@jest/globals';
import { ceilingMs, fullJitterMs, reconnectBackoff, spreadMs } from './backoff.js';
import { EventRate, measureCpu, type CpuFuse } from './budget.js';
import { advanceLease, bootSecondsMin, renewLease, secondsSince } from './lease.js';
import { addRange, type Range } from './ranges.js';
import { bestNowMs, hearTime, trustedNowMs } from './trusted-time.js';

const at = (seconds: number, bootId = 'boot') => ({ bootId, seconds });

describe('backoff', () => {
  it('stays between its bounds and reaches the upper one', () => {
    expect(fullJitterMs(0, reconnectBackoff, 0.99)).toBe(1_000);
    expect(fullJitterMs(100, reconnectBackoff, 0)).toBe(1_000);
    expect(fullJitterMs(100, reconnectBackoff, 1)).toBe(300_000);
    expect(ceilingMs(3, reconnectBackoff)).toBe(8_000);
  });

  it('spreads around a time', () => {
    expect([0, 0.5, 1].map((random) => spreadMs(1_000, 0.25, random))).toEqual([750, 1_000, 1_250]);
  });
});

describe('lease', () => {
  it('counts boot time across restarts of the agent', () => {
    const saved = advanceLease(renewLease(at(100)), at(700));
    expect(advanceLease(saved, at(1_000)).elapsedSeconds).toBe(900);
  });

  it('counts at least ten minutes for each boot, so that a boot loop runs out too', () => {
    let clock = renewLease(at(5_000, 'b0'));
    for (let boot = 1; boot <= 6; boot++) clock = advanceLease(clock, at(3, `b${boot}`));
    expect(clock.elapsedSeconds).toBe(6 * bootSecondsMin);
  });

  it('takes what was in another boot as long ago', () => {
    expect(secondsSince(at(5, 'old'), at(6))).toBe(Number.POSITIVE_INFINITY);
    expect(secondsSince(at(5), at(6))).toBe(1);
  });
});

describe('trusted time', () => {
  it('only moves forward', () => {
    const known = hearTime(undefined, 1_000_000, at(10));
    const older = hearTime(known, 500_000, at(20));
    expect(trustedNowMs(older, at(20))).toBe(1_010_000);
    expect(trustedNowMs(hearTime(older, 2_000_000, at(30)), at(31))).toBe(2_001_000);
  });

  it('takes the finer system clock while both agree, and the trusted one when they do not', () => {
    const known = hearTime(undefined, 1_700_000_000_000, at(10));
    expect(bestNowMs(known, 1_700_000_001_234, at(11))).toBe(1_700_000_001_234);
    expect(bestNowMs(known, 86_400_000, at(11))).toBe(1_700_000_001_000);
    expect(bestNowMs(undefined, 86_400_000, at(11))).toBe(86_400_000);
    expect(bestNowMs(known, 86_400_000, at(11, 'next'))).toBe(86_400_000);
  });
});

describe('CPU fuse', () => {
  const run = (percents: number[]): boolean[] => {
    let fuse: CpuFuse = { runTimeNs: 0n, atSeconds: 0, windowsOver: 0 };
    let total = 0n;
    return percents.map((percent, index) => {
      total += BigInt(percent * 1e8);
      const verdict = measureCpu(fuse, { runTimeNs: total, seconds: (index + 1) * 10 }, 5);
      fuse = verdict?.fuse ?? fuse;
      return verdict?.blown ?? false;
    });
  };

  it('blows after three windows over the budget in a row, not for a peak', () => {
    expect(run([9, 9, 1, 9, 9, 9])).toEqual([false, false, false, false, false, true]);
  });

  it('says nothing before a window is full, and nothing bad about counters that began anew', () => {
    const fuse: CpuFuse = { runTimeNs: 10n ** 12n, atSeconds: 0, windowsOver: 2 };
    expect(measureCpu(fuse, { runTimeNs: 0n, seconds: 9 }, 5)).toBeUndefined();
    expect(measureCpu(fuse, { runTimeNs: 5n, seconds: 10 }, 5)).toMatchObject({ cpuPercent: 0, blown: false });
  });
});

describe('event rate', () => {
  it('grants a second of events at once and then as many a second', () => {
    const rate = new EventRate(100, 0);
    expect(rate.take(1_000, 0)).toBe(100);
    expect(rate.take(1_000, 0.5)).toBe(50);
    expect(rate.take(10, 60)).toBe(10);
    expect(rate.take(1_000, 60)).toBe(90);
  });

  it('grants nothing for a budget of nothing', () => {
    expect(new EventRate(0, 0).take(5, 100)).toBe(0);
  });
});

describe('ranges', () => {
  it('joins what touches and keeps what is apart', () => {
    const all = (
      [
        [5, 6],
        [1, 1],
        [2, 3],
        [9, 9],
        [4, 4],
      ] as Range[]
    ).reduce<Range[]>((sum, one) => addRange(sum, one, 32), []);
    expect(all).toEqual([
      [1, 6],
      [9, 9],
    ]);
  });

  it('joins the nearest neighbours when there are too many', () => {
    const all = (
      [
        [0, 0],
        [10, 10],
        [12, 12],
        [30, 30],
      ] as Range[]
    ).reduce<Range[]>((sum, one) => addRange(sum, one, 3), []);
    expect(all).toEqual([
      [0, 0],
      [10, 12],
      [30, 30],
    ]);
  });
});
