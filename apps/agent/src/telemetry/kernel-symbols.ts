import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { DeviceName } from './sealer.js';

const ADDRESSES_MAX = 65_536;
const NAME_MAX = 128;
/** Kernel addresses have the highest bit set on 64-bit kernels; on 32-bit ARM they begin with the modules, below PAGE_OFFSET. */
const KERNEL_64_MIN = 1n << 63n;
const KERNEL_32_MIN = 0xbf00_0000n;
const USER_64_MIN = 1n << 32n;

export function isKernelAddress(address: bigint, bits: 32 | 64): boolean {
  return bits === 64 ? address >= KERNEL_64_MIN : address >= KERNEL_32_MIN && address < USER_64_MIN;
}

/**
 * Names of kernel addresses, each asked once. /proc/kallsyms is megabytes and not sorted: it is read line by line, and for
 * each address only the nearest symbol below it is kept.
 */
export class KernelSymbols {
  private readonly asked = new Set<bigint>();

  constructor(
    private readonly bits: 32 | 64,
    private readonly path = '/proc/kallsyms',
  ) {}

  /** Everything may be asked again, after a loss. */
  reset(): void {
    this.asked.clear();
  }

  /** `addresses`: u64 little endian. Those that are new and in the kernel, with their names. */
  async resolveNew(addresses: Buffer): Promise<DeviceName[]> {
    if (this.asked.size > ADDRESSES_MAX) this.reset();
    const fresh = new Set<bigint>();
    for (let at = 0; at + 8 <= addresses.length; at += 8) {
      const address = addresses.readBigUInt64LE(at);
      if (isKernelAddress(address, this.bits) && !this.asked.has(address)) fresh.add(address);
    }
    if (fresh.size === 0) return [];
    for (const address of fresh) this.asked.add(address);
    return nearestSymbols([...fresh], this.path);
  }
}

/** Fixed-width hexadecimal sorts like the numbers, and /proc/kallsyms writes it. */
async function nearestSymbols(addresses: readonly bigint[], path: string): Promise<DeviceName[]> {
  const wanted = addresses.map((address) => address.toString(16).padStart(16, '0')).sort();
  const best: { at: string; name: string }[] = wanted.map(() => ({ at: '', name: '' }));
  try {
    for await (const line of createInterface({ input: createReadStream(path) })) {
      const [address = '', type = '', name = ''] = line.split(/\s/, 3);
      const at = address.padStart(16, '0');
      // Without CAP_SYSLOG every address reads as zero.
      if (!/^[tTwW]$/.test(type) || at === '0000000000000000') continue;
      const found = best[firstAtOrAbove(wanted, at)];
      if (found && at > found.at) Object.assign(found, { at, name });
    }
  } catch {
    return [];
  }
  // A symbol was kept for the lowest address above it; it may be the nearest for those further up as well.
  best.forEach((entry, index) => {
    const below = best[index - 1];
    if (below && below.at > entry.at) Object.assign(entry, below);
  });
  return wanted.flatMap((address, index) => {
    const name = best[index]?.name ?? '';
    return name === ''
      ? []
      : [{ kind: 'ksym' as const, id: BigInt(`0x${address}`).toString(), name: name.slice(0, NAME_MAX) }];
  });
}

function firstAtOrAbove(sorted: readonly string[], value: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] as string) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
