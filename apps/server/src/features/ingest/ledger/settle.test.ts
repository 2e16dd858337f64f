import { describe, expect, it } from '@jest/globals';
import { randomFrom } from '../../../../../../libs/btf/test/compile-bpf.js';
import { RangeSet, type Range } from './range-set.js';
import { ackRanges, emptyEntry, settle, type LedgerEntry } from './settle.js';

describe('RangeSet', () => {
  it('merges what overlaps or touches, and reads what it prints', () => {
    const set = RangeSet.of([
      [5, 6],
      [1, 2],
      [3, 3],
      [9, 8],
      [20, Number.MAX_SAFE_INTEGER],
    ]);
    expect(set.ranges).toEqual([
      [1, 3],
      [5, 6],
      [20, Number.MAX_SAFE_INTEGER],
    ]);
    expect(RangeSet.parse(set.toString())).toEqual(set);
    expect(RangeSet.parse('{}')).toEqual(RangeSet.empty);
  });

  it('agrees with a plain set of numbers', () => {
    for (let seed = 1; seed <= 50; seed += 1) {
      const random = randomFrom(seed);
      const some = () => Array.from({ length: 20 }, () => Math.floor(random() * 40));
      const [a, b] = [some(), some()];
      const [left, right] = [RangeSet.ofNumbers(a), RangeSet.ofNumbers(b)];
      const numbers = (set: RangeSet) => Array.from({ length: 41 }, (_, n) => n).filter((n) => set.has(n));
      const sorted = (values: Iterable<number>) => [...new Set(values)].sort((x, y) => x - y);
      expect(numbers(left.union(right))).toEqual(sorted([...a, ...b]));
      expect(numbers(left.subtract(right))).toEqual(sorted(a.filter((n) => !b.includes(n))));
      expect(left.size).toBe(new Set(a).size);
    }
  });

  it('closes its lowest gaps when it has too many ranges', () => {
    const { closed, filled } = RangeSet.ofNumbers([0, 2, 4, 6, 8]).closeGaps(4);
    expect(closed.ranges).toEqual([
      [0, 6],
      [8, 8],
    ]);
    expect(filled.ranges).toEqual([
      [1, 1],
      [3, 3],
      [5, 5],
    ]);
  });
});

it('a device that leaves out every second number gets a row of bounded size', () => {
  let entry = emptyEntry;
  for (let number = 0; number < 10_000; number += 2) {
    entry = settle(entry, { received: [number], refused: [], lost: [], floor: 0 });
  }
  expect(entry.settled.ranges.length).toBeLessThanOrEqual(1024);
  expect(entry.lost.ranges.length).toBeLessThanOrEqual(1024);
  expect(entry.lost.ranges.every(([first, last]) => first === last && first % 2 === 1)).toBe(true);
  expect(entry.settled.has(9998)).toBe(true);
});

it('acknowledges everything, or what was asked about when that is too much', () => {
  const settled = RangeSet.ofNumbers([0, 2, 4, 6, 8]);
  expect(ackRanges(settled, [8], 32)).toHaveLength(5);
  expect(ackRanges(settled, [8, 2], 3)).toEqual([
    [2, 2],
    [8, 8],
  ]);
});

interface Message {
  readonly number: number;
  readonly floor: number;
  readonly lost: readonly Range[];
}

/** One device with a small spool, two replicas that see the same messages late, twice or never, and one ledger row. */
class Simulation {
  readonly stored: number[] = [];
  readonly given = new Set<number>();
  produced = 0;
  rangesMax = 0;
  private entry: LedgerEntry = emptyEntry;
  private held = new Map<number, Message>();
  private undeclared = RangeSet.empty;
  private readonly queues: [Message[], Message[]] = [[], []];

  constructor(private readonly random: () => number) {}

  step(): void {
    const dice = this.random();
    if (dice < 0.35) this.seal();
    else if (dice < 0.65) this.send();
    else this.write(dice < 0.82 ? 0 : 1);
  }

  /** The device may send until nothing is left, and nothing fails any more. */
  drain(): void {
    while (this.held.size > 0) {
      for (const message of this.held.values()) this.queues[0].push(message);
      this.transact(this.queues[0].splice(0), true);
    }
    for (const queue of this.queues) this.transact(queue.splice(0), false);
  }

  get ledger(): LedgerEntry {
    return this.entry;
  }

  private seal(): void {
    const [floor = this.produced] = this.held.keys();
    const lost = this.undeclared.ranges.slice(0, 32);
    this.held.set(this.produced, { number: this.produced, floor, lost });
    this.produced += 1;
    if (this.held.size <= 12) return;
    const [oldest] = this.held.keys();
    this.held.delete(oldest as number);
    this.given.add(oldest as number);
    this.undeclared = this.undeclared.union(RangeSet.ofNumbers([oldest as number]));
  }

  private send(): void {
    const all = [...this.held.values()];
    const message = all[Math.floor(this.random() * all.length)];
    if (!message) return;
    if (this.random() < 0.8) this.queues[0].push(message);
    if (this.random() < 0.8) this.queues[1].push(message);
  }

  private write(replica: 0 | 1): void {
    const queue = this.queues[replica];
    const batches = queue.slice(0, 1 + Math.floor(this.random() * 4));
    if (batches.length === 0) return;
    // A transaction that is rolled back leaves its batches in the queue; one whose COMMIT went unheard as well.
    const dice = this.random();
    if (dice < 0.2) return;
    const heard = dice < 0.85;
    if (dice < 0.9) queue.splice(0, batches.length);
    this.transact(batches, heard);
  }

  private transact(batches: readonly Message[], heard: boolean): void {
    if (batches.length === 0) return;
    const fresh = new Map(
      batches.filter(({ number }) => !this.entry.settled.has(number)).map((one) => [one.number, one]),
    );
    this.stored.push(...fresh.keys());
    this.entry = settle(this.entry, {
      received: batches.map(({ number }) => number),
      refused: [],
      lost: batches.flatMap(({ lost }) => lost),
      floor: Math.max(...batches.map(({ floor }) => floor)),
    });
    this.rangesMax = Math.max(this.rangesMax, this.entry.settled.ranges.length);
    if (!heard) return;
    for (const [first, last] of ackRanges(
      this.entry.settled,
      batches.map(({ number }) => number),
      32,
    )) {
      for (let number = first; number <= last; number += 1) this.held.delete(number);
    }
  }
}

describe.each(Array.from({ length: 40 }, (_, index) => index + 1))('ledger simulation, seed %i', (seed) => {
  it('stores every batch once, or knows that it is lost', () => {
    const simulation = new Simulation(randomFrom(seed));
    for (let step = 0; step < 3000; step += 1) simulation.step();
    simulation.drain();
    const stored = new Set(simulation.stored);
    expect(simulation.stored).toHaveLength(stored.size);
    const { settled, lost } = simulation.ledger;
    for (let number = 0; number < simulation.produced; number += 1) {
      if (stored.has(number)) expect(lost.has(number)).toBe(false);
      else expect(simulation.given.has(number)).toBe(true);
      if (settled.has(number) && !stored.has(number)) expect(lost.has(number)).toBe(true);
    }
    expect(simulation.rangesMax).toBeLessThan(40);
  });
});
