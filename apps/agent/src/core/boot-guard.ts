import type { BootPoint } from './lease.js';

/** A boot that lasted this long did not fail by what is attached at its beginning; three shorter ones fit into an hour. */
export const LIVED_SECONDS = 1_200;
/** So many boots in a row that ended early and without a word, with something attached, and the next one attaches nothing. */
export const EARLY_ENDS_MAX = 3;

/** The boot in which the agent last ran, as it stands on the disk. */
export interface BootRecord {
  readonly bootId: string;
  readonly lived: boolean;
  /** Something was to be attached in it. */
  readonly armed: boolean;
  /** The agent was told to end, so that nothing of it was in the kernel when the device went down. */
  readonly shutDown: boolean;
  /** Boots in a row before this one that went down early, having been armed. */
  readonly earlyEnds: number;
  /** Crash dumps that were there when it began, so that a new one is known. */
  readonly dumps: readonly string[];
}

/** What is on record of a boot that begins with this agent, or goes on with it. `dumps`: those that are there now. */
export function beginBoot(before: BootRecord | undefined, bootId: string, dumps: readonly string[]): BootRecord {
  if (before?.bootId === bootId) return { ...before, shutDown: false };
  return { bootId, lived: false, armed: false, shutDown: false, earlyEnds: earlyEndsBy(before), dumps };
}

/** That the device also goes down with nothing attached, as in a boot that was held, says that what was attached is not why. */
function earlyEndsBy(before: BootRecord | undefined): number {
  if (before === undefined || before.lived || before.shutDown || !before.armed) return 0;
  return before.earlyEnds + 1;
}

/** Nothing may be attached yet: the device went down so often that only a boot without tells whether that is why. */
export function isHeld({ earlyEnds, lived }: BootRecord): boolean {
  return earlyEnds >= EARLY_ENDS_MAX && !lived;
}

/** Undefined while it is too early, or long known. */
export function hasLived(record: BootRecord, now: BootPoint): BootRecord | undefined {
  return record.lived || now.seconds < LIVED_SECONDS ? undefined : { ...record, lived: true };
}
