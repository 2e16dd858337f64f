import { closeSync, openSync, readSync } from 'node:fs';
import { native } from './native.js';

// The kernel hands out a page at a time, whatever is asked for.
const stepBytes = 16 << 10;
/** No line is longer: the kernel's names have 512 bytes at most. */
const textBytesMax = 64 << 10;
/** `0 t a` and a newline. */
const lineBytesMin = 6;
const linesMax = Math.floor(textBytesMax / lineBytesMin) + 1;

/** What `takeKallsyms` reads and says, by index; `State` of kallsyms.cc has the same. */
const state = {
  symbolsRoom: 0,
  nameBytesRoom: 1,
  consumed: 4,
  left: 5,
  runs: 6,
  nameBytes: 7,
  inOrder: 8,
  shown: 9,
  words: 10,
} as const;
const runWords = 4;

/** So many symbols from `begin` on have this upper half of their address, and are of this module. */
export interface KallsymsRun {
  readonly begin: number;
  readonly high: number;
  /** Empty for the kernel itself. */
  readonly module: Buffer;
}

/** The symbols of some lines, in the order of the file. Everything in it is good until the next. */
export interface KallsymsLines {
  readonly count: number;
  /** The lower halves of their addresses. */
  readonly lows: Uint32Array;
  readonly runs: readonly KallsymsRun[];
  /** How many there are before the first whose address is lower than the one before it, of these lines or of those before. */
  readonly inOrder: number;
  readonly types: Buffer;
  /** Each with a newline. */
  readonly names: Buffer;
  /** Where each ends, behind its newline. */
  readonly nameEnds: Uint32Array;
  /** Left out for want of room. */
  readonly left: number;
  /** Whether an address is not zero. */
  readonly shown: boolean;
}

export interface KallsymsRoom {
  readonly codeOnly: boolean;
  readonly symbolsMax: number;
  readonly nameBytesMax: number;
}

/** Reads some pages at a time, so that a caller can do other things in between; closes the file however it is left. */
export function* kallsymsLines(path: string, room: KallsymsRoom): Generator<KallsymsLines> {
  const taker = new LineTaker(room);
  const text = Buffer.allocUnsafe(textBytesMax);
  const file = openSync(path, 'r');
  try {
    for (let kept = 0; ;) {
      const begun = kept;
      let [end, got] = [kept, -1];
      for (; got !== 0 && end < text.length && end - begun < stepBytes; end += got)
        got = readSync(file, text, end, text.length - end, null);
      const { lines, consumed } = taker.take(text, end, got === 0);
      yield lines;
      if (got === 0) return;
      // What fills all of it and has no end is no symbol.
      kept = consumed === 0 && end === text.length ? 0 : end - consumed;
      text.copyWithin(0, end - kept, end);
    }
  } finally {
    closeSync(file);
  }
}

/** The arrays that the addon fills: made once for a file. */
class LineTaker {
  readonly #state = new Uint32Array(state.words);
  readonly #lows = new Uint32Array(linesMax);
  readonly #types = Buffer.allocUnsafe(linesMax);
  readonly #names = Buffer.allocUnsafe(textBytesMax + 1);
  readonly #nameEnds = new Uint32Array(linesMax);
  readonly #runs = new Uint32Array(linesMax * runWords);
  readonly #codeOnly: boolean;

  constructor({ codeOnly, symbolsMax, nameBytesMax }: KallsymsRoom) {
    this.#codeOnly = codeOnly;
    this.#state[state.symbolsRoom] = symbolsMax;
    this.#state[state.nameBytesRoom] = nameBytesMax;
  }

  take(text: Buffer, textBytes: number, atEnd: boolean): { lines: KallsymsLines; consumed: number } {
    const count = native.takeKallsyms(
      text,
      textBytes,
      atEnd,
      this.#codeOnly,
      this.#state,
      this.#lows,
      this.#types,
      this.#names,
      this.#nameEnds,
      this.#runs,
    );
    const said = (word: number): number => this.#state[word] ?? 0;
    const nameBytes = said(state.nameBytes);
    // Newlines are not counted.
    this.#state[state.symbolsRoom] = said(state.symbolsRoom) - count;
    this.#state[state.nameBytesRoom] = said(state.nameBytesRoom) - (nameBytes - count);
    const lines = {
      count,
      lows: this.#lows.subarray(0, count),
      runs: Array.from({ length: said(state.runs) }, (_, run) => this.#run(text, run)),
      inOrder: said(state.inOrder),
      types: this.#types.subarray(0, count),
      names: this.#names.subarray(0, nameBytes),
      nameEnds: this.#nameEnds.subarray(0, count),
      left: said(state.left),
      shown: said(state.shown) !== 0,
    };
    return { lines, consumed: said(state.consumed) };
  }

  #run(text: Buffer, run: number): KallsymsRun {
    const [begin = 0, high = 0, moduleBegin = 0, moduleEnd = 0] = this.#runs.subarray(run * runWords);
    return { begin, high, module: text.subarray(moduleBegin, moduleEnd) };
  }
}
