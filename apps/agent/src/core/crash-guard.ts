import { EARLY_ENDS_MAX, LIVED_SECONDS } from './boot-guard.js';
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
 * before it has a link, so nobody could tell it to stop. Once is enough where something is evidence of a crash.
 */
export function afterBoot(record: RunRecord, bootId: string, evidence: string | undefined): RunRecord {
  if (record.inKernel === null || record.inKernel.bootId === bootId || record.soaked) return record;
  const uncleanBoots = record.uncleanBoots + 1;
  if (uncleanBoots < UNCLEAN_BOOTS_MAX && evidence === undefined) return { ...record, uncleanBoots };
  const went = `the device went down ${uncleanBoots === 1 ? 'once' : `${uncleanBoots} times`}`;
  const crashed = evidence === undefined ? '' : `; ${evidence}`;
  const message = `${went} within ${SOAK_SECONDS / 60} minutes of attaching it, without being shut down${crashed}`;
  return advance(record, 'SUSPECT_CRASH', { uncleanBoots, inKernel: null, error: { code: 'SUSPECT_CRASH', message } });
}

/** Undefined while it is too early, or long known. */
export function soaked(record: RunRecord, attachedAt: BootPoint, now: BootPoint): RunRecord | undefined {
  if (record.soaked || attachedAt.bootId !== now.bootId || now.seconds - attachedAt.seconds < SOAK_SECONDS)
    return undefined;
  return { ...record, soaked: true, uncleanBoots: 0 };
}

/** That it has soaked in one kernel says nothing of what it does in another. */
export function onKernel(record: RunRecord, kernel: string): RunRecord {
  return record.kernel === kernel ? record : { ...record, soaked: false, uncleanBoots: 0 };
}

/** Not before the boot has lasted: see boot-guard.ts. What is over, refused or suspected stays what it is. */
export function held(record: RunRecord, until: BootPoint): RunRecord {
  if (['ENDED', 'REMOVED', 'REJECTED', 'SUSPECT_CRASH'].includes(record.state)) return record;
  const message =
    `the device went down ${EARLY_ENDS_MAX} times in a row within ${LIVED_SECONDS / 60} minutes of starting, without being ` +
    `shut down: nothing is attached until it has been up for ${LIVED_SECONDS / 60} minutes`;
  return advance(record, 'FAILED', { inKernel: null, retryAt: until, error: { code: 'UNCLEAN_BOOTS', message } });
}

/**
 * As it is started again. The device lasted without it, so it is suspected at the next time; one that the device went down without
 * is not.
 */
export function afterHold(record: RunRecord, bootId: string): RunRecord {
  if (record.error?.code !== 'UNCLEAN_BOOTS' || record.retryAt?.bootId !== bootId) return record;
  return { ...record, soaked: false, uncleanBoots: UNCLEAN_BOOTS_MAX - 1 };
}
