import { telemetryLimits } from './settings.js';

/** One week of one table, Monday to Monday, UTC. */
export interface Partition {
  readonly name: string;
  readonly from: Date;
  readonly to: Date;
}

const DAY_MS = 86_400_000;
const WEEK_MS = 7 * DAY_MS;
/** 1970-01-05, the first Monday that Unix time knows. */
const FIRST_MONDAY_MS = 4 * DAY_MS;
const SUFFIX = /_p(\d{4})(\d{2})(\d{2})$/;
/** `_p20261116`. */
export const PARTITION_SUFFIX_BYTES = 10;

/** Every partition that rows between `now − retentionDays` and two weeks ahead can fall into, oldest first. */
export function partitionsWanted(table: string, now: Date, retentionDays: number): Partition[] {
  const first = mondayBefore(now.getTime() - retentionDays * DAY_MS);
  const last = mondayBefore(now.getTime() + telemetryLimits.partitionAheadDays * DAY_MS);
  const wanted: Partition[] = [];
  for (let from = first; from <= last; from += WEEK_MS) wanted.push(partitionAt(table, from));
  return wanted;
}

/**
 * How many partitions a table has at most: the weeks of the retention and of what is made ahead, those at both ends in part,
 * and the day for which an expired one is kept.
 */
export function partitionsPerTable(retentionDays: number): number {
  return Math.ceil((retentionDays + 1 + telemetryLimits.partitionAheadDays) / 7) + 1;
}

/** The longest retention with which so many tables have all of their partitions. */
export function retentionDaysMax(tables: number): number {
  const perTable = Math.floor(telemetryLimits.partitionsMax / tables);
  return (perTable - 1) * 7 - 1 - telemetryLimits.partitionAheadDays;
}

function partitionAt(table: string, fromMs: number): Partition {
  const day = new Date(fromMs).toISOString().slice(0, 10).replaceAll('-', '');
  return { name: `${table}_p${day}`, from: new Date(fromMs), to: new Date(fromMs + WEEK_MS) };
}

/** The week whose partition has rows of this time. */
export function weekOf(timeMs: number): { readonly from: Date; readonly to: Date } {
  const from = mondayBefore(timeMs);
  return { from: new Date(from), to: new Date(from + WEEK_MS) };
}

function mondayBefore(timeMs: number): number {
  return Math.floor((timeMs - FIRST_MONDAY_MS) / WEEK_MS) * WEEK_MS + FIRST_MONDAY_MS;
}

/**
 * Whether all rows of a partition are older than the retention. One day more is kept, because a row at the very edge may
 * be on its way while the partition goes.
 */
export function isExpired(partitionName: string, now: Date, retentionDays: number): boolean {
  const match = SUFFIX.exec(partitionName);
  if (!match) return false;
  const from = Date.UTC(Number(match[1]), Number(match[2]) - 1, Number(match[3]));
  return from + WEEK_MS < now.getTime() - (retentionDays + 1) * DAY_MS;
}
