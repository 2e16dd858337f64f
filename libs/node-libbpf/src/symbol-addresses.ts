import { NumberList } from './number-list.js';

export interface AddressRun {
  readonly begin: number;
  readonly high: number;
  /** 0 for the kernel itself. */
  readonly module: number;
}

/**
 * Addresses in the order of a file, with the module of each, in halves of 32 bits: a BigInt is an allocation, and a file has 200,000
 * addresses. The upper half and the module are those of thousands of neighbours, so that they are kept once for a run of them.
 * The kernel's own symbols come first and in order; only what follows, of its modules and BPF programs, needs an index.
 */
export class SymbolAddresses {
  readonly #lows = new NumberList();
  readonly #runBegins = new NumberList();
  readonly #runHighs = new NumberList();
  readonly #runModules = new NumberList();
  /** How many there are before the first that is lower than the one before it. */
  #sorted = 0;
  /** Indexes of the others by address: of equal ones the first in the file first. */
  #rest = new Uint32Array();

  get length(): number {
    return this.#lows.length;
  }

  /** What it takes, once finished. */
  get bytes(): number {
    const lists = [this.#lows, this.#runBegins, this.#runHighs, this.#runModules];
    return lists.reduce((sum, { bytes }) => sum + bytes, this.#rest.byteLength);
  }

  /**
   * Of symbols that follow those before: the lower halves of their addresses, and from which of them on they have which upper half
   * and module. The first `inOrder` are none lower than the one before it.
   */
  add(lows: Uint32Array, runs: readonly AddressRun[], inOrder: number): void {
    if (this.#sorted === this.length) this.#sorted += inOrder;
    for (const { begin, high, module } of runs) {
      const last = this.#runBegins.length - 1;
      if (last >= 0 && high === this.#runHighs.at(last) && module === this.#runModules.at(last)) continue;
      this.#runBegins.push(this.length + begin);
      this.#runHighs.push(high);
      this.#runModules.push(module);
    }
    this.#lows.append(lows);
  }

  /** After the last. */
  finish(): void {
    for (const list of [this.#lows, this.#runBegins, this.#runHighs, this.#runModules]) list.trim();
    const sorted = this.#sorted;
    const highs = Uint32Array.from({ length: this.length - sorted }, (_, at) => this.#high(sorted + at));
    this.#rest = Uint32Array.from(highs.keys())
      .sort(
        (a, b) => (highs[a] ?? 0) - (highs[b] ?? 0) || this.#lows.at(sorted + a) - this.#lows.at(sorted + b) || a - b,
      )
      .map((at) => sorted + at);
  }

  address(index: number): bigint {
    return (BigInt(this.#high(index)) << 32n) | BigInt(this.#lows.at(index));
  }

  module(index: number): number {
    return this.#runModules.at(this.#run(index));
  }

  /** The index of the highest address that is not above this one, and of those at that address the first in the file. */
  below(address: bigint): number | undefined {
    const [high, low] = [Number(address >> 32n), Number(address & 0xffff_ffffn)];
    const inOrder = this.#belowInOrder(high, low);
    const inRest = this.#belowInRest(high, low);
    if (inOrder === undefined || inRest === undefined) return inOrder ?? inRest;
    return this.#compare(inRest, this.#high(inOrder), this.#lows.at(inOrder)) > 0 ? inRest : inOrder;
  }

  /** The last run that begins below holds it, so that one half of each address is looked at: there are 100,000. */
  #belowInOrder(high: number, low: number): number | undefined {
    const runs = firstPlace(0, this.#runBegins.length, (run) => this.#runBegins.at(run) >= this.#sorted);
    const run = firstPlace(0, runs, (at) => this.#compare(this.#runBegins.at(at), high, low) > 0) - 1;
    if (run < 0) return undefined;
    const end = run + 1 < runs ? this.#runBegins.at(run + 1) : this.#sorted;
    const isAbove = (index: number): boolean => this.#lows.at(index) > low;
    let found = (this.#runHighs.at(run) < high ? end : firstPlace(this.#runBegins.at(run), end, isAbove)) - 1;
    const [foundHigh, foundLow] = [this.#runHighs.at(run), this.#lows.at(found)];
    while (found > 0 && this.#compare(found - 1, foundHigh, foundLow) === 0) found--;
    return found;
  }

  #belowInRest(high: number, low: number): number | undefined {
    const indexAt = (place: number): number => this.#rest[place] ?? 0;
    let place = firstPlace(0, this.#rest.length, (at) => this.#compare(indexAt(at), high, low) > 0) - 1;
    if (place < 0) return undefined;
    const [foundHigh, foundLow] = [this.#high(indexAt(place)), this.#lows.at(indexAt(place))];
    while (place > 0 && this.#compare(indexAt(place - 1), foundHigh, foundLow) === 0) place--;
    return indexAt(place);
  }

  #compare(index: number, high: number, low: number): number {
    return this.#high(index) - high || this.#lows.at(index) - low;
  }

  #high(index: number): number {
    return this.#runHighs.at(this.#run(index));
  }

  #run(index: number): number {
    return firstPlace(0, this.#runBegins.length, (place) => this.#runBegins.at(place) > index) - 1;
  }
}

/** The first place from `begin` of which it is true, where it is false and then true; `end` if of none. */
function firstPlace(begin: number, end: number, isTrue: (place: number) => boolean): number {
  let [low, high] = [begin, end];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isTrue(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
