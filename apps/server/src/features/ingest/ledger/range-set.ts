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
    let low = 0;
    let high = this.ranges.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.ranges[middle] as Range)[1] < number) low = middle + 1;
      else high = middle;
    }
    const found = this.ranges[low];
    return found !== undefined && found[0] <= number;
  }

  union(other: RangeSet): RangeSet {
    if (other.ranges.length === 0) return this;
    return RangeSet.of([...this.ranges, ...other.ranges]);
  }

  /** One walk over both: a device decides how many ranges there are. */
  subtract(other: RangeSet): RangeSet {
    const left: Range[] = [];
    let next = 0;
    for (const [first, last] of this.ranges) {
      while (next < other.ranges.length && (other.ranges[next] as Range)[1] < first) next += 1;
      let from = first;
      for (let at = next; at < other.ranges.length && from <= last; at += 1) {
        const [cutFrom, cutTo] = other.ranges[at] as Range;
        if (cutFrom > last) break;
        if (cutFrom > from) left.push([from, cutFrom - 1]);
        from = cutTo + 1;
      }
      if (from <= last) left.push([from, last]);
    }
    return new RangeSet(left);
  }

  /** How many numbers it holds. */
  get size(): number {
    return this.ranges.reduce((sum, [first, last]) => sum + last - first + 1, 0);
  }

  /**
   * The same, but when it has more than `rangesMax` ranges, with its lowest gaps closed until half as many are left (half,
   * so that this is not done again for the next number); and what was in the gaps.
   */
  closeGaps(rangesMax: number): { closed: RangeSet; filled: RangeSet } {
    if (this.ranges.length <= rangesMax) return { closed: this, filled: RangeSet.empty };
    const surplus = this.ranges.length - Math.ceil(rangesMax / 2);
    const joined: Range = [this.ranges[0]?.[0] ?? 0, this.ranges[surplus]?.[1] ?? 0];
    const closed = new RangeSet([joined, ...this.ranges.slice(surplus + 1)]);
    return { closed, filled: closed.subtract(this) };
  }

  /** The same without its lowest ranges, when there are more than `rangesMax`. */
  highest(rangesMax: number): RangeSet {
    return this.ranges.length <= rangesMax ? this : new RangeSet(this.ranges.slice(-rangesMax));
  }
}
