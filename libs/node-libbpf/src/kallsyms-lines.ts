import { closeSync, openSync, readSync } from 'node:fs';

// The kernel hands out a page at a time, whatever is asked for.
const chunkBytes = 64 << 10;
const newline = 10;

/** A line taken apart in place: offsets into the bytes that were parsed. One object is used for all lines of a file. */
export interface ParsedLine {
  high: number;
  low: number;
  type: number;
  nameBegin: number;
  nameEnd: number;
  /** Empty for the kernel itself. */
  moduleBegin: number;
  moduleEnd: number;
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  return byte >= 0x61 && byte <= 0x66 ? byte - 0x57 : -1;
}

/** `ffffffff81000000 T _stext` or `ffffffffc0000000 t name\t[module]`; false for any other line. */
export function parseLine(bytes: Buffer, begin: number, end: number, into: ParsedLine): boolean {
  let [at, high, low] = [begin, 0, 0];
  for (let digit = 0; at < end && (digit = hexDigit(bytes[at] ?? 0)) >= 0; at++) {
    high = ((high << 4) | (low >>> 28)) >>> 0;
    low = ((low << 4) | digit) >>> 0;
  }
  if (at === begin || at - begin > 16 || at + 3 >= end || bytes[at] !== 0x20 || bytes[at + 2] !== 0x20) return false;
  into.high = high;
  into.low = low;
  into.type = bytes[at + 1] ?? 0;
  into.nameBegin = at + 3;
  into.nameEnd = end;
  into.moduleBegin = end;
  into.moduleEnd = end;
  for (let tab = into.nameBegin; tab < end; tab++) {
    if (bytes[tab] !== 0x09) continue;
    into.nameEnd = tab;
    if (bytes[tab + 1] === 0x5b && bytes[end - 1] === 0x5d) [into.moduleBegin, into.moduleEnd] = [tab + 2, end - 1];
    break;
  }
  return into.nameEnd > into.nameBegin;
}

/**
 * Calls with the place of each line of a file, without its newline, in a Buffer that is good until the next. A line without
 * end is cut. Yields after each chunk, so that a caller can do other things in between; closes the file however it is left.
 */
export function* linesInChunks(
  path: string,
  use: (bytes: Buffer, begin: number, end: number) => void,
): Generator<void> {
  const chunk = Buffer.allocUnsafe(chunkBytes);
  const file = openSync(path, 'r');
  try {
    for (let kept = 0; ;) {
      const got = readSync(file, chunk, kept, chunk.length - kept, null);
      const end = kept + got;
      let begin = 0;
      for (let at = chunk.indexOf(newline, begin); at >= 0 && at < end; at = chunk.indexOf(newline, begin)) {
        use(chunk, begin, at);
        begin = at + 1;
      }
      if (got === 0) {
        if (begin < end) use(chunk, begin, end);
        return;
      }
      kept = begin === 0 && end === chunk.length ? 0 : end - begin;
      chunk.copyWithin(0, begin, end);
      yield;
    }
  } finally {
    closeSync(file);
  }
}
