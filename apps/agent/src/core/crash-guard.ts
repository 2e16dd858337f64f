import type { BootPoint } from './lease.js';
import { advance, type RunRecord } from './run-record.js';

/** So long after it was attached a run is no longer suspected of what happens to the device. */
export const SOAK_SECONDS = 600;
/** One power cut must not halt a fleet: it takes two. */
export const UNCLEAN_BOOTS_MAX = 2;

/**
 * What an agent makes of a record when it starts. Whoever takes a run out of the kernel writes that down, so a run that the record
 * says is in the kernel of an earlier boot was in it when the device went down, without a word: by a power cut, or by a panic of
 * which it may be the cause. Twice within `SOAK_SECONDS` of attaching, and it is not attached a third time: the agent attaches
 * before it has a link, so nobody could tell it to stop.
 */
export function afterBoot(record: RunRecord, bootId: string): RunRecord {
  if (record.inKernel === null || record.inKernel.bootId === bootId || record.soaked) return record;
  const uncleanBoots = record.uncleanBoots + 1;
  if (uncleanBoots < UNCLEAN_BOOTS_MAX) return { ...record, uncleanBoots };
  const message = `the device went down ${uncleanBoots} times within ${SOAK_SECONDS / 60} minutes of attaching it, without being shut down`;
  return advance(record, 'SUSPECT_CRASH', { uncleanBoots, inKernel: null, error: { code: 'SUSPECT_CRASH', message } });
}

/** Undefined while it is too early, or long known. */
export function soaked(record: RunRecord, attachedAt: BootPoint, now: BootPoint): RunRecord | undefined {
  if (record.soaked || attachedAt.bootId !== now.bootId || now.seconds - attachedAt.seconds < SOAK_SECONDS)
    return undefined;
  return { ...record, soaked: true, uncleanBoots: 0 };
}
