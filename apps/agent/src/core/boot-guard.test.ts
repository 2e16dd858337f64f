import { describe, expect, it } from '@jest/globals';
import { beginBoot, EARLY_ENDS_MAX, hasLived, isHeld, LIVED_SECONDS, type BootRecord } from './boot-guard.js';

/** With something attached, where that may be. */
function begin(before: BootRecord | undefined, bootId: string): BootRecord {
  const record = beginBoot(before, bootId, []);
  return { ...record, armed: !isHeld(record) };
}

function boots(count: number, after?: BootRecord): BootRecord {
  let record = after;
  for (let at = 0; at < count; at++) record = begin(record, `boot-${at}`);
  if (record === undefined) throw new Error('no boot');
  return record;
}

describe('the boot guard', () => {
  it('holds a boot after three that ended early', () => {
    const third = boots(EARLY_ENDS_MAX);
    expect([third.earlyEnds, isHeld(third)]).toEqual([2, false]);
    const fourth = begin(third, 'next');
    expect([fourth.earlyEnds, isHeld(fourth)]).toEqual([3, true]);
  });

  it('counts no boot that lasted, none that was shut down, and no new agent in the same boot', () => {
    const third = boots(EARLY_ENDS_MAX);
    expect(hasLived(third, { bootId: third.bootId, seconds: LIVED_SECONDS - 1 })).toBeUndefined();
    const lived = hasLived(third, { bootId: third.bootId, seconds: LIVED_SECONDS });
    expect(begin(lived, 'next').earlyEnds).toBe(0);
    expect(begin({ ...third, shutDown: true }, 'next').earlyEnds).toBe(0);
    expect(begin({ ...third, shutDown: true }, third.bootId)).toEqual(third);
    expect(begin({ ...third, armed: false }, 'next').earlyEnds).toBe(0);
  });

  it('is over when the boot has lasted, and when the device goes down with nothing attached as well', () => {
    const held = boots(EARLY_ENDS_MAX + 1);
    const lived = hasLived(held, { bootId: held.bootId, seconds: LIVED_SECONDS });
    expect(lived && isHeld(lived)).toBe(false);
    expect(begin(held, 'next')).toMatchObject({ earlyEnds: 0, lived: false });
  });
});
