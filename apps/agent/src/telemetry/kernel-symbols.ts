import type { SymbolTable } from '../kernel/port.js';
import type { DeviceName } from './sealer.js';

const ADDRESSES_MAX = 65_536;
const NAME_MAX = 128;
/** Modules and JITed programs come and go; the kernel's own functions stay where they are until the next boot. */
const TABLE_AGE_MS_MAX = 600_000;
/** How long names keep the event loop at a time. */
const STEP_MS = 5;
const NO_SYMBOLS: SymbolTable = { nameOf: () => undefined };
/** Kernel addresses have the highest bit set on 64-bit kernels; on 32-bit ARM they begin with the modules, below PAGE_OFFSET. */
const KERNEL_64_MIN = 1n << 63n;
const KERNEL_32_MIN = 0xbf00_0000n;
const USER_64_MIN = 1n << 32n;

export function isKernelAddress(address: bigint, bits: 32 | 64): boolean {
  return bits === 64 ? address >= KERNEL_64_MIN : address >= KERNEL_32_MIN && address < USER_64_MIN;
}

export interface KernelSymbolsOptions {
  readonly bits: 32 | 64;
  /** Takes seconds on a small device, so what it gives is kept. */
  readonly read: () => Promise<SymbolTable>;
  readonly monotonicMs: () => number;
}

/**
 * Names of kernel addresses, each told once. Samples of a profile hit new addresses all the time, and /proc/kallsyms is
 * megabytes of text that the kernel makes anew for each reader: the table that was made of it (1.3 MB for 120,000 functions) is
 * kept as long as anybody asks, and read again at most every ten minutes. A module that was loaded since is named after then.
 */
export class KernelSymbols {
  private readonly told = new Set<bigint>();
  private table: { readonly symbols: SymbolTable; readonly readAtMs: number } | undefined;

  constructor(private readonly options: KernelSymbolsOptions) {}

  /** Everything may be asked again, after a loss. */
  reset(): void {
    this.told.clear();
  }

  /** Nobody asks any more: gives the memory back. */
  drop(): void {
    this.reset();
    this.table = undefined;
  }

  /**
   * `addresses`: u64 little endian. Those that are in the kernel, have a name and were not told yet, with their names.
   * Rejects where the kernel's symbols cannot be read, and has no names then until it is time to read again.
   */
  async resolveNew(addresses: Buffer): Promise<DeviceName[]> {
    if (this.told.size > ADDRESSES_MAX) this.reset();
    const fresh = new Set<bigint>();
    for (let at = 0; at + 8 <= addresses.length; at += 8) {
      const address = addresses.readBigUInt64LE(at);
      if (isKernelAddress(address, this.options.bits) && !this.told.has(address)) fresh.add(address);
    }
    if (fresh.size === 0) return [];
    const symbols = await this.symbols();
    const names: DeviceName[] = [];
    let untilMs = this.options.monotonicMs() + STEP_MS;
    // Neighbours lie in one block of the table, and a first picture has thousands of addresses, while rings want to be drained.
    for (const address of [...fresh].sort((a, b) => (a < b ? -1 : 1))) {
      if (this.options.monotonicMs() >= untilMs) {
        await new Promise(setImmediate);
        untilMs = this.options.monotonicMs() + STEP_MS;
      }
      const name = symbols.nameOf(address);
      if (name === undefined) continue;
      this.told.add(address);
      names.push({ kind: 'ksym', id: address.toString(), name: name.slice(0, NAME_MAX) });
    }
    return names;
  }

  private async symbols(): Promise<SymbolTable> {
    const now = this.options.monotonicMs();
    if (this.table === undefined || now - this.table.readAtMs > TABLE_AGE_MS_MAX) {
      // Stands when the reading fails: a kernel without CONFIG_KALLSYMS is not asked, and complained of, with each picture.
      this.table = { symbols: NO_SYMBOLS, readAtMs: now };
      this.table = { symbols: await this.options.read(), readAtMs: now };
    }
    return this.table.symbols;
  }
}
