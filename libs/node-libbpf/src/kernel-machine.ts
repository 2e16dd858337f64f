import { machine } from 'node:os';

/** A kernel that runs 64-bit programs is one of 64 bits. */
const of64Bits: Partial<Record<NodeJS.Architecture, string>> = { x64: 'x86_64', arm64: 'aarch64' };

/**
 * The kernel's processor as `uname -m` says it to whoever is not misled: a 64-bit kernel names a 32-bit processor to processes of
 * the 32-bit personality (linux32, `Personality=` of systemd), which on ARM is `armv8l` (COMPAT_UTS_MACHINE in
 * arch/arm64/include/asm/compat.h). A 32-bit kernel on such a processor says `armv7l` (arch/arm/mm/proc-v7.S).
 */
export function kernelMachine(name = machine(), arch: NodeJS.Architecture = process.arch): string {
  return of64Bits[arch] ?? (/^armv8[lb]$/.test(name) ? 'aarch64' : name);
}
