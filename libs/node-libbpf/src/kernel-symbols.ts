import { requireInteger, requireText } from './arguments.js';
import { LibbpfError } from './errors.js';
import type { CapabilityName } from './capabilities.js';
import { missingCapabilities } from './capabilities.js';
import type { KallsymsLines } from './kallsyms-text.js';
import { kallsymsLines } from './kallsyms-text.js';
import { native } from './native.js';
import { PackedNames } from './packed-names.js';
import { SymbolAddresses } from './symbol-addresses.js';

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
  /** Bytes of names, before they are deflated; 64 MiB unless told. */
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

/** What is kept of symbols, in the order of the file. Nothing is allocated for one. */
class Table {
  readonly addresses = new SymbolAddresses();
  readonly names = new PackedNames();
  types = Buffer.allocUnsafe(1 << 16);

  add(lines: KallsymsLines, modules: ModuleNumbers): void {
    const { length } = this.addresses;
    const needed = length + lines.count;
    if (needed > this.types.length)
      this.types = Buffer.concat([this.types, Buffer.allocUnsafe(Math.max(this.types.length, lines.count))]);
    lines.types.copy(this.types, length);
    const runs = lines.runs.map(({ begin, high, module }) => ({ begin, high, module: modules.of(module) }));
    this.addresses.add(lines.lows, runs, lines.inOrder);
    this.names.add(lines.names, lines.nameEnds);
  }

  finish(): this {
    this.types = Buffer.from(this.types.subarray(0, this.addresses.length));
    this.addresses.finish();
    this.names.finish();
    return this;
  }
}

/**
 * /proc/kallsyms as it was when it was read: the kernel, its modules, and JITed BPF programs. In tables of numbers and blocks of
 * deflated names, some 11 bytes a symbol (15 for one of a module), because a kernel has 200,000 of them.
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
  readonly #table: Table;
  readonly #moduleNames: readonly string[];
  /** Open addressing by name: index + 1, 0 for empty. Made when first asked. */
  #byName: Uint32Array | undefined;

  private constructor(table: Table, moduleNames: readonly string[], left: number, addressesShown: boolean) {
    this.#table = table;
    this.#moduleNames = moduleNames;
    this.count = table.types.length;
    this.left = left;
    this.addressesShown = addressesShown;
    this.needs = addressesShown ? [] : missingCapabilities({ does: 'read_kernel_symbols' });
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
    const table = new Table();
    const modules = new ModuleNumbers();
    let [left, shown] = [0, false];
    try {
      for (const lines of kallsymsLines(path, { codeOnly, symbolsMax, nameBytesMax })) {
        table.add(lines, modules);
        left += lines.left;
        shown ||= lines.shown;
        yield;
      }
    } catch (error) {
      const cause = error as NodeJS.ErrnoException;
      throw new LibbpfError('BPF_ENUMERATE', operation, Math.abs(cause.errno ?? 0), path);
    }
    return new KernelSymbols(table.finish(), modules.names, left, shown);
  }

  /** What the tables take, without what `find` makes when it is first called: 8 bytes a symbol. */
  get bytes(): number {
    const { addresses, names, types } = this.#table;
    return addresses.bytes + names.bytes + types.length;
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
    const index = this.#table.addresses.below(address);
    if (index === undefined) return undefined;
    const start = this.#table.addresses.address(index);
    if (start === 0n || address - start > reachBytes) return undefined;
    return { name: this.#nameOf(index), offset: Number(address - start), module: this.#moduleOf(index) };
  }

  /** Every symbol of that name: static functions of different files share theirs. */
  find(name: string): KernelSymbol[] {
    requireText('find kernel symbol', 'name', name);
    const wanted = Buffer.from(name);
    const hash = new Uint32Array(1);
    native.hashLines(Buffer.concat([wanted, Buffer.from('\n')]), hash);
    const table = (this.#byName ??= this.#hashNames());
    const found: KernelSymbol[] = [];
    for (let slot = (hash[0] ?? 0) % table.length; ; slot = (slot + 1) % table.length) {
      const entry = table[slot] ?? 0;
      if (entry === 0) return found.sort((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : 0));
      if (this.#table.names.bytesOf(entry - 1).equals(wanted)) found.push(this.#symbol(entry - 1));
    }
  }

  #hashNames(): Uint32Array {
    const hashes = this.#table.names.hashes();
    // Half empty, so that a search ends soon.
    const table = new Uint32Array(2 * this.count + 1);
    for (let index = 0; index < this.count; index++) {
      let slot = (hashes[index] ?? 0) % table.length;
      while (table[slot] !== 0) slot = (slot + 1) % table.length;
      table[slot] = index + 1;
    }
    return table;
  }

  #nameOf(index: number): string {
    return this.#table.names.bytesOf(index).toString('utf8');
  }

  #moduleOf(index: number): string | undefined {
    const module = this.#table.addresses.module(index);
    return module === 0 ? undefined : this.#moduleNames[module - 1];
  }

  #symbol(index: number): KernelSymbol {
    return {
      name: this.#nameOf(index),
      address: this.#table.addresses.address(index),
      type: String.fromCharCode(this.#table.types[index] ?? 0),
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
  of(name: Buffer): number {
    if (name.length === 0) return 0;
    if (this.#last.equals(name)) return this.#lastNumber;
    this.#last = Buffer.from(name);
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
