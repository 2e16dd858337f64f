/** Of a kernel, as `uname -r` begins. */
export interface KernelSeries {
  readonly major: number;
  readonly minor: number;
}

/** Kernels before this one run in no test: neither server nor agent lets a probe onto them. */
export const OLDEST_TESTED_KERNEL: KernelSeries = { major: 5, minor: 10 };

/**
 * The oldest one that tests run on, by the architecture of the kernel. Where that is later than {@link OLDEST_TESTED_KERNEL}, what
 * lies between is doubted and not refused: the same code runs there on another architecture. x86-64 kernels are those of
 * developers' machines, each test run seeing its own alone, and not the field's: which of them is in the table of kernels says
 * nothing of the others.
 */
export const OLDEST_TESTED_BY_ARCH: Readonly<Record<'arm64' | 'arm' | 'x86_64', KernelSeries>> = {
  arm64: OLDEST_TESTED_KERNEL,
  arm: { major: 6, minor: 1 },
  x86_64: OLDEST_TESTED_KERNEL,
};

/** The maps of one probe may take this part of a device's memory: kernel memory is never swapped, and probes are guests. */
const MEMORY_SHARE = 16;
/** And those of all probes together this one: a device keeps three quarters of its memory for what it is there for. */
const MEMORY_SHARE_OF_ALL = 4;

/** `6.1.0-50-armmp` → 6.1. Undefined for text that does not begin with two numbers. */
export function kernelSeries(release: string): KernelSeries | undefined {
  const match = /^(\d{1,5})\.(\d{1,5})(?!\d)/.exec(release);
  return match === null ? undefined : { major: Number(match[1]), minor: Number(match[2]) };
}

/** Whether it is older than {@link OLDEST_TESTED_KERNEL}; a release that cannot be read is not known to be. */
export function isBeforeOldestTested(release: string): boolean {
  const series = kernelSeries(release);
  return series !== undefined && compareSeries(series, OLDEST_TESTED_KERNEL) < 0;
}

/**
 * The oldest kernel of its architecture that tests run on, where this one is older still and not older than any that tests run
 * on; undefined otherwise, and for a release or an architecture that cannot be read.
 */
export function untestedBefore(kernelArch: string, release: string): KernelSeries | undefined {
  const series = kernelSeries(release);
  if (series === undefined || !Object.hasOwn(OLDEST_TESTED_BY_ARCH, kernelArch)) return undefined;
  const oldest = OLDEST_TESTED_BY_ARCH[kernelArch as keyof typeof OLDEST_TESTED_BY_ARCH];
  return !isBeforeOldestTested(release) && compareSeries(series, oldest) < 0 ? oldest : undefined;
}

export function compareSeries(a: KernelSeries, b: KernelSeries): number {
  return a.major - b.major || a.minor - b.minor;
}

/** What the maps of one probe may take on a machine with so much memory, in bytes. */
export function mapBytesMax(memoryBytes: number): number {
  return Math.floor(memoryBytes / MEMORY_SHARE);
}

/** What the maps of all probes together may take there, in bytes. */
export function allMapBytesMax(memoryBytes: number): number {
  return Math.floor(memoryBytes / MEMORY_SHARE_OF_ALL);
}
