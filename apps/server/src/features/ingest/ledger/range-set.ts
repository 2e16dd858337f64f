/** Both ends inclusive. */
export type Range = readonly [first: number, last: number];

/** An immutable set of whole numbers from 0 to 2^53 − 1, kept as few sorted ranges that neither touch nor overlap. */
export class RangeSet {
  static readonly empty = new RangeSet([]);

  private constructor(readonly ranges: readonly Range[]) {}

  /** In any order, overlapping or not; a range whose end lies before its start holds nothing. */
  static of(ranges: Iterable<Range>): RangeSet {
    const sorted = [...ranges].filter(([first, last]) => first <= last).sort((a, b) => a[0] - b[0]);
    const merged: [number, number][] = [];
    for (const [first, last] of sorted) {
      const tail = merged.at(-1);
      if (tail !== undefined && first <= tail[1] + 1) tail[1] = Math.max(tail[1], last);
      else merged.push([first, last]);
    }
    return new RangeSet(merged);
  }

  static ofNumbers(numbers: Iterable<number>): RangeSet {
    return RangeSet.of(Array.from(numbers, (number): Range => [number, number]));
  }

  /** As PostgreSQL prints an int8multirange: `{[0,5),[7,8)}`. */
  static parse(text: string): RangeSet {
    const ranges = Array.from(text.matchAll(/\[(\d+),(\d+)\)/g), (match): Range => [
      Number(match[1]),
      // 2^53 is exact, so the largest number of all comes back as it went.
      Number(match[2]) - 1,
    ]);
    return RangeSet.of(ranges);
  }

  toString(): string {
    return `{${this.ranges.map(([first, last]) => `[${first},${BigInt(last) + 1n})`).join(',')}}`;
  }

  has(number: number): boolean {
    return this.ranges.some(([first, last]) => first <= number && number <= last);
  }

  union(other: RangeSet): RangeSet {
    if (other.ranges.length === 0) return this;
    return RangeSet.of([...this.ranges, ...other.ranges]);
  }

  subtract(other: RangeSet): RangeSet {
    let left: Range[] = [...this.ranges];
    for (const [from, to] of other.ranges) {
      left = left.flatMap(([first, last]): Range[] => [
        [first, Math.min(last, from - 1)],
        [Math.max(first, to + 1), last],
      ]);
      left = left.filter(([first, last]) => first <= last);
    }
    return RangeSet.of(left);
  }

  /** How many numbers it holds. */
  get size(): number {
    return this.ranges.reduce((sum, [first, last]) => sum + last - first + 1, 0);
  }

  /** The same with its lowest gaps closed until no more than `rangesMax` ranges are left, and what was in the gaps. */
  closeGaps(rangesMax: number): { closed: RangeSet; filled: RangeSet } {
    const surplus = this.ranges.length - rangesMax;
    if (surplus <= 0) return { closed: this, filled: RangeSet.empty };
    const closed = RangeSet.of([[this.ranges[0]?.[0] ?? 0, this.ranges[surplus]?.[1] ?? 0], ...this.ranges]);
    return { closed, filled: closed.subtract(this) };
  }
}
