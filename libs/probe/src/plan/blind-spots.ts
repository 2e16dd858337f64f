import type { BpfObjectFile } from '@bpfleet/btf';

/** What decides which programs a kernel runs a probe for. */
export interface KernelAndUserLand {
  /** The kernel's: `arm`, `arm64`, `x86_64`. */
  readonly kernelArch: string;
  /** Of the agent, and so of the programs that the device was made for. */
  readonly userBits: number;
}

/** Something that loads and attaches, and then sees nothing, or something else than it was told. */
export interface BlindSpot {
  /** A program's name, or a map's. */
  readonly of: string;
  readonly sentence: string;
}

interface Part {
  readonly programs: readonly { readonly name: string; readonly section: string }[];
  readonly maps: readonly { readonly name: string; readonly typeName: string }[];
}

const UPROBE = /^(uprobe|uretprobe|usdt)(\.|\/|$)/;
const SOCKOPT = /^cgroup\/[gs]etsockopt$/;

/**
 * What kernels take without a word and then do not do, each seen in a VM (docs/kernel-support.md). Agent and server both refuse
 * by it, so that a device shows no numbers that are zero for the wrong reason.
 * - Uprobes of ARM64 kernels refuse the code of 32-bit programs when these map it (arch_uprobe_analyze_insn(), to 6.18 at
 *   least), which nobody hears of who attaches before.
 * - 64-bit kernels run programs at getsockopt and setsockopt for 64-bit callers only (`in_compat_syscall()` in net/socket.c).
 * - 32-bit kernels write the slots of an array of maps 4 bytes apart and read them 8 bytes apart (kernel/bpf/arraymap.c).
 * Programs whose section begins with `?` are left out: nothing loads them unless somebody asks.
 */
export function blindSpots(
  { programs, maps }: Part | Pick<BpfObjectFile, 'programs' | 'maps'>,
  { kernelArch, userBits }: KernelAndUserLand,
): BlindSpot[] {
  const is32On64 = kernelArch !== 'arm' && userBits === 32;
  const spots: BlindSpot[] = [];
  for (const { name, section } of programs) {
    if (is32On64 && kernelArch === 'arm64' && UPROBE.test(section)) {
      const why = 'ARM64 kernels pass 32-bit programs by, and this device runs those';
      spots.push({ of: name, sentence: `Program ${name} (${section}) would see nothing: ${why}.` });
    }
    if (is32On64 && SOCKOPT.test(section)) {
      const why = '64-bit kernels show it 64-bit callers only, and this device runs 32-bit programs';
      spots.push({ of: name, sentence: `Program ${name} (${section}) would see nothing: ${why}.` });
    }
  }
  for (const { name, typeName } of maps) {
    if (kernelArch !== 'arm' || typeName !== 'array_of_maps') continue;
    const why = '32-bit kernels read other slots of it than are written: use a hash_of_maps';
    spots.push({ of: name, sentence: `Map ${name} (array_of_maps) would hold the wrong maps: ${why}.` });
  }
  return spots;
}
