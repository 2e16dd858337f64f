import { describe, expect, it } from '@jest/globals';
import type { LeaseClock } from '../core/lease.js';
import type { LeaseSheet } from '../core/lease-sheet.js';
import { LeaseKeeper } from './lease-keeper.js';

function setUp(saved?: LeaseClock) {
  const sheets: LeaseSheet[] = [];
  const logged: string[] = [];
  const world = { seconds: 1000, full: false, removed: false, saved, sheets, logged };
  const keeper = new LeaseKeeper({
    saved: { read: () => world.saved, writeSoon: (clock) => (world.saved = clock) },
    sheet: {
      write: (sheet) => {
        if (world.full) throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
        sheets.push(sheet);
      },
      remove: () => (world.removed = true),
    },
    now: () => ({ bootId: 'boot', seconds: world.seconds }),
    runs: () => [{ run: 'r1', leaseSeconds: 600 }],
    log: (_level, event) => logged.push(event),
  });
  return { world, keeper };
}

describe('the lease keeper', () => {
  it('tells the reaper the moment at which the lease lapses, which the passing of time does not move', () => {
    const { world, keeper } = setUp();
    keeper.beat();
    world.seconds = 1300;
    keeper.beat();
    expect(world.sheets.map(({ runs }) => runs[0]?.untilSeconds)).toEqual([1600, 1600]);
    expect(world.sheets.map(({ heartbeat }) => heartbeat.seconds)).toEqual([1000, 1300]);
    keeper.renew({ bootId: 'boot', seconds: 1290 });
    expect(world.sheets.at(-1)?.runs).toEqual([{ run: 'r1', untilSeconds: 1890 }]);
    expect(keeper.elapsedSeconds).toBe(10);
  });

  it('beats once a minute of the clock that also counts sleep', () => {
    const { world, keeper } = setUp();
    for (const seconds of [1000, 1001, 1059, 1060, 1061, 5000]) {
      world.seconds = seconds;
      keeper.tick();
    }
    expect(world.sheets.map(({ heartbeat }) => heartbeat.seconds)).toEqual([1000, 1060, 5000]);
  });

  it('counts what went before this process', () => {
    const { world, keeper } = setUp({ at: { bootId: 'boot', seconds: 800 }, elapsedSeconds: 100 });
    expect(keeper.elapsedSeconds).toBe(300);
    keeper.beat();
    expect(world.sheets[0]?.runs[0]?.untilSeconds).toBe(1300);
  });

  it('says once that nobody can hear it, and again after it was heard', () => {
    const { world, keeper } = setUp();
    world.full = true;
    keeper.beat();
    keeper.beat();
    expect(world.logged).toEqual(['leases.unwritable']);
    world.full = false;
    keeper.beat();
    world.full = true;
    keeper.beat();
    expect(world.logged).toHaveLength(2);
  });
});
