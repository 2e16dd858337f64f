import { closeSync, openSync, readSync } from 'node:fs';
import { requireInteger, requireText } from './arguments.js';
import { LibbpfError } from './errors.js';
import type { CapabilityName } from './capabilities.js';
import { missingCapabilities } from './capabilities.js';

const chunkBytes = 256 << 10;
/** How long `readInSteps` keeps the event loop at a time. */
const stepMs = 5;
const symbolsMaxDefault = 1 << 20;
const nameBytesMaxDefault = 64 << 20;
const modulesMax = 0xffff;
/** No function is that long: what lies further behind the last symbol of a region belongs to nothing. */
const reachBytes = 1n << 20n;

export interface KernelSymbolOptions {
  /** 1,048,576 unless told; a kernel has 100,000 to 300,000. What is beyond is counted in `left`. */
  symbolsMax?: number;
  /** Bytes of names; 64 MiB unless told. */
  nameBytesMax?: number;
  /** Code only (types t, T, w, W), as stacks need, or variables too; `code` unless told. */
  kinds?: 'code' | 'all';
}

export interface KernelSymbol {
  name: string;
  address: bigint;
  /** As nm(1): `t`, `T`, `d`, … */
  type: string;
  /** `bpf` for JITed BPF programs; undefined for the kernel itself. */
  module: string | undefined;
}

export interface ResolvedAddress {
  name: string;
  offset: number;
  module: string | undefined;
}

/** Tables that double when they are full, so that nothing is allocated for a symbol. */
class Columns {
  // Two halves, because a BigInt is an allocation and a file has 200,000 addresses.
  highs = new Uint32Array(1 << 16);
  lows = new Uint32Array(1 << 16);
  nameEnds = new Uint32Array(1 << 16);
  types = new Uint8Array(1 << 16);
  modules = new Uint16Array(1 << 16);
  names = Buffer.allocUnsafe(1 << 20);
  count = 0;
  nameBytes = 0;

  add(bytes: Buffer, symbol: ParsedLine, module: number): void {
    const nameBytes = symbol.nameEnd - symbol.nameBegin;
    if (this.count === this.types.length) {
      this.highs = grown(this.highs);
      this.lows = grown(this.lows);
      this.nameEnds = grown(this.nameEnds);
      this.types = grown(this.types);
      this.modules = grown(this.modules);
    }
    while (this.nameBytes + nameBytes > this.names.length) {
      const larger = Buffer.allocUnsafe(this.names.length * 2);
      this.names.copy(larger, 0, 0, this.nameBytes);
      this.names = larger;
    }
    bytes.copy(this.names, this.nameBytes, symbol.nameBegin, symbol.nameEnd);
    this.nameBytes += nameBytes;
    this.highs[this.count] = symbol.high;
    this.lows[this.count] = symbol.low;
    this.types[this.count] = symbol.type;
    this.modules[this.count] = module;
    this.nameEnds[this.count] = this.nameBytes;
    this.count++;
  }

  /** Gives back what doubling took too much. */
  trim(): void {
    this.highs = this.highs.slice(0, this.count);
    this.lows = this.lows.slice(0, this.count);
    this.nameEnds = this.nameEnds.slice(0, this.count);
    this.types = this.types.slice(0, this.count);
    this.modules = this.modules.slice(0, this.count);
    this.names = Buffer.from(this.names.subarray(0, this.nameBytes));
  }

  address(index: number): bigint {
    return (BigInt(this.highs[index] ?? 0) << 32n) | BigInt(this.lows[index] ?? 0);
  }
}

function grown<Column extends Uint32Array | Uint16Array | Uint8Array>(column: Column): Column {
  const larger = new (column.constructor as new (length: number) => Column)(column.length * 2);
  (larger as Uint8Array).set(column as Uint8Array);
  return larger;
}

const codeTypes = new Set([...'tTwW'].map((letter) => letter.charCodeAt(0)));
const newline = 10;

/** A line taken apart in place: offsets into the bytes that were parsed. One object is used for all lines of a file. */
interface ParsedLine {
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
function parseLine(bytes: Buffer, begin: number, end: number, into: ParsedLine): boolean {
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
function* linesInChunks(path: string, use: (bytes: Buffer, begin: number, end: number) => void): Generator<void> {
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

function fnv1a(bytes: Buffer, begin: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let at = begin; at < end; at++) hash = Math.imul(hash ^ (bytes[at] ?? 0), 0x0100_0193);
  return hash >>> 0;
}

/**
 * /proc/kallsyms as it was when it was read: the kernel, its modules, and JITed BPF programs. In tables of numbers and one
 * Buffer of names, about 40 bytes a symbol, because a kernel has 200,000 of them.
 */
export class KernelSymbols {
  readonly count: number;
  /** Symbols that were left out by symbolsMax or nameBytesMax. */
  readonly left: number;
  /**
   * Whether addresses are known. The kernel shows zeros without CAP_SYSLOG (kptr_restrict 1, and 0 unless perf_event_paranoid
   * is 1 or less), and to nobody with kptr_restrict 2; `needs` says which capability is missing, if it is that.
   */
  readonly addressesShown: boolean;
  readonly needs: readonly CapabilityName[];
  readonly #columns: Columns;
  readonly #moduleNames: readonly string[];
  /** Symbols by address. */
  readonly #order: Uint32Array;
  /** Open addressing by name: index + 1, 0 for empty. Made when first asked. */
  #byName: Uint32Array | undefined;

  private constructor(columns: Columns, moduleNames: readonly string[], left: number, addressesShown: boolean) {
    this.#columns = columns;
    this.#moduleNames = moduleNames;
    this.count = columns.count;
    this.left = left;
    this.addressesShown = addressesShown;
    this.needs = addressesShown ? [] : missingCapabilities({ does: 'read_kernel_symbols' });
    this.#order = orderByAddress(columns);
  }

  /** Reads and indexes; some 100 ms. Throws BPF_ENUMERATE where the file cannot be read. */
  static read(options: KernelSymbolOptions = {}, path = '/proc/kallsyms'): KernelSymbols {
    const reading = KernelSymbols.#reading(options, path);
    for (;;) {
      const step = reading.next();
      if (step.done === true) return step.value;
    }
  }

  /**
   * The same in small steps, with the event loop in between: on a small ARM device it takes a second or more, in which rings
   * want to be drained. Rejects with BPF_ENUMERATE where the file cannot be read.
   */
  static async readInSteps(options: KernelSymbolOptions = {}, path = '/proc/kallsyms'): Promise<KernelSymbols> {
    const reading = KernelSymbols.#reading(options, path);
    for (let until = performance.now() + stepMs; ;) {
      const step = reading.next();
      if (step.done === true) return step.value;
      if (performance.now() < until) continue;
      await new Promise(setImmediate);
      until = performance.now() + stepMs;
    }
  }

  static *#reading(options: KernelSymbolOptions, path: string): Generator<void, KernelSymbols> {
    const operation = 'read kernel symbols';
    const symbolsMax = requireInteger(operation, 'symbolsMax', options.symbolsMax ?? symbolsMaxDefault, 1, 1 << 26);
    const nameBytesMax = requireInteger(
      operation,
      'nameBytesMax',
      options.nameBytesMax ?? nameBytesMaxDefault,
      1,
      0x7fff_ffff,
    );
    const codeOnly = (options.kinds ?? 'code') === 'code';
    const columns = new Columns();
    const modules = new ModuleNumbers();
    const symbol = { high: 0, low: 0, type: 0, nameBegin: 0, nameEnd: 0, moduleBegin: 0, moduleEnd: 0 };
    let [left, shown] = [0, false];
    const take = (bytes: Buffer, begin: number, end: number) => {
      if (!parseLine(bytes, begin, end, symbol) || (codeOnly && !codeTypes.has(symbol.type))) return;
      const nameBytes = symbol.nameEnd - symbol.nameBegin;
      if (columns.count === symbolsMax || columns.nameBytes + nameBytes > nameBytesMax) {
        left++;
        return;
      }
      if (symbol.high !== 0 || symbol.low !== 0) shown = true;
      columns.add(bytes, symbol, modules.of(bytes, symbol.moduleBegin, symbol.moduleEnd));
    };
    try {
      yield* linesInChunks(path, take);
    } catch (error) {
      const cause = error as NodeJS.ErrnoException;
      throw new LibbpfError('BPF_ENUMERATE', operation, Math.abs(cause.errno ?? 0), path);
    }
    columns.trim();
    return new KernelSymbols(columns, modules.names, left, shown);
  }

  /** The modules that have symbols; `bpf` among them for JITed programs. */
  get modules(): readonly string[] {
    return this.#moduleNames;
  }

  /**
   * The symbol that an address is in: the nearest below, unless that is more than 1 MiB away. Undefined for addresses of user
   * code, and for all where `addressesShown` is false. Of several symbols at one address the first in the file.
   */
  resolve(address: bigint): ResolvedAddress | undefined {
    if (!this.addressesShown) return undefined;
    let [low, high] = [0, this.count];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#addressAt(middle) <= address) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return undefined;
    const start = this.#addressAt(low - 1);
    if (start === 0n || address - start > reachBytes) return undefined;
    // Aliases stand side by side, in the order of the file.
    let first = low - 1;
    while (first > 0 && this.#addressAt(first - 1) === start) first--;
    const index = this.#order[first] ?? 0;
    return { name: this.#nameOf(index), offset: Number(address - start), module: this.#moduleOf(index) };
  }

  /** Every symbol of that name: static functions of different files share theirs. */
  find(name: string): KernelSymbol[] {
    requireText('find kernel symbol', 'name', name);
    const wanted = Buffer.from(name);
    const table = (this.#byName ??= this.#hashNames());
    const found: KernelSymbol[] = [];
    for (let slot = fnv1a(wanted, 0, wanted.length) % table.length; ; slot = (slot + 1) % table.length) {
      const entry = table[slot] ?? 0;
      if (entry === 0) return found.sort((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : 0));
      if (this.#isNamed(entry - 1, wanted)) found.push(this.#symbol(entry - 1));
    }
  }

  /** By place in the order of addresses. */
  #addressAt(place: number): bigint {
    return this.#columns.address(this.#order[place] ?? 0);
  }

  #hashNames(): Uint32Array {
    const { names, nameEnds } = this.#columns;
    // Half empty, so that a search ends soon.
    const table = new Uint32Array(2 * this.count + 1);
    for (let index = 0; index < this.count; index++) {
      const begin = index === 0 ? 0 : (nameEnds[index - 1] ?? 0);
      let slot = fnv1a(names, begin, nameEnds[index] ?? 0) % table.length;
      while (table[slot] !== 0) slot = (slot + 1) % table.length;
      table[slot] = index + 1;
    }
    return table;
  }

  #range(index: number): [begin: number, end: number] {
    const { nameEnds } = this.#columns;
    return [index === 0 ? 0 : (nameEnds[index - 1] ?? 0), nameEnds[index] ?? 0];
  }

  #isNamed(index: number, wanted: Buffer): boolean {
    const [begin, end] = this.#range(index);
    return end - begin === wanted.length && this.#columns.names.compare(wanted, 0, wanted.length, begin, end) === 0;
  }

  #nameOf(index: number): string {
    return this.#columns.names.toString('utf8', ...this.#range(index));
  }

  #moduleOf(index: number): string | undefined {
    const module = this.#columns.modules[index] ?? 0;
    return module === 0 ? undefined : this.#moduleNames[module - 1];
  }

  #symbol(index: number): KernelSymbol {
    return {
      name: this.#nameOf(index),
      address: this.#columns.address(index),
      type: String.fromCharCode(this.#columns.types[index] ?? 0),
      module: this.#moduleOf(index),
    };
  }
}

/** Modules stand together in the file, so the last is nearly always the next. */
class ModuleNumbers {
  readonly names: string[] = [];
  readonly #numbers = new Map<string, number>();
  #last = Buffer.alloc(0);
  #lastNumber = 0;

  /** 0 for the kernel itself, and for modules beyond what 16 bits count. */
  of(bytes: Buffer, begin: number, end: number): number {
    if (begin === end) return 0;
    if (this.#last.length === end - begin && bytes.compare(this.#last, 0, this.#last.length, begin, end) === 0)
      return this.#lastNumber;
    this.#last = Buffer.from(bytes.subarray(begin, end));
    this.#lastNumber = this.#number(this.#last.toString('utf8'));
    return this.#lastNumber;
  }

  #number(name: string): number {
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    if (this.names.length === modulesMax) return 0;
    this.names.push(name);
    this.#numbers.set(name, this.names.length);
    return this.names.length;
  }
}

/** A stable order: the file is sorted but for modules and BPF programs, which come behind the kernel. */
function orderByAddress({ highs, lows, count }: Columns): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, index) => index);
  return order.sort((a, b) => (highs[a] ?? 0) - (highs[b] ?? 0) || (lows[a] ?? 0) - (lows[b] ?? 0) || a - b);
}
