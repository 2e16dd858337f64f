import { RangeSet, type Range } from './range-set.js';

/** One row: the batches of one epoch of one stream of one device. */
export interface LedgerEntry {
  /** Received, lost and refused alike: whatever is in here is never stored again. */
  readonly settled: RangeSet;
  /** For the record, and like `refused` only the newest ranges of it. */
  readonly lost: RangeSet;
  readonly refused: RangeSet;
}

/** What one transaction has to say about an entry. */
export interface Settlement {
  readonly received: readonly number[];
  readonly refused: readonly number[];
  /** Numbers that the device gave up, as its headers declare them. */
  readonly lost: readonly Range[];
  /** The device holds nothing below this any more: what was not acknowledged is lost, declared or not. Numbers begin at 0. */
  readonly floor: number;
}

export const emptyEntry: LedgerEntry = {
  settled: RangeSet.empty,
  lost: RangeSet.empty,
  refused: RangeSet.empty,
};

/** A device that sends every second number must not grow a row without end; the simulation needs 10 ranges. */
const RANGES_MAX = 1024;

/** Pure: the entry afterwards. What was received before it was declared lost stays received. */
export function settle(entry: LedgerEntry, { received, refused, lost, floor }: Settlement): LedgerEntry {
  const arrived = entry.settled.union(RangeSet.ofNumbers([...received, ...refused]));
  const newlyLost = RangeSet.of([...lost, [0, floor - 1]]).subtract(arrived);
  const { closed, filled } = arrived.union(newlyLost).closeGaps(RANGES_MAX);
  return {
    settled: closed,
    lost: entry.lost.union(newlyLost).union(filled).highest(RANGES_MAX),
    refused: entry.refused.union(RangeSet.ofNumbers(refused)).highest(RANGES_MAX),
  };
}

/**
 * The ranges to acknowledge: all that is settled, so that an acknowledgement that was lost is made up for; when there
 * are more than `rangesMax`, those around the numbers that this transaction handled come first.
 */
export function ackRanges(settled: RangeSet, handled: readonly number[], rangesMax: number): Range[] {
  if (settled.ranges.length <= rangesMax) return [...settled.ranges];
  const touched = settled.ranges.filter(([first, last]) => handled.some((number) => first <= number && number <= last));
  return touched.slice(0, rangesMax);
}
