import { digestOf } from '@bpfleet/trust';
import type { Facts } from '@bpfleet/wire';

/**
 * What decides a verdict (DESIGN §2): the same object may be taken by one group and refused by another. Which BTF a kernel
 * shows, or none, is part of it, though a build id implies it for devices that tell the truth: one that does not is alone
 * in its group, and changes nothing for those whose build id it claims.
 */
export interface KernelGroup {
  /** SHA-256 of what follows. */
  readonly id: string;
  readonly kernelRelease: string;
  readonly kernelArch: Facts['kernelArch'];
  readonly kernelBuildId: string | null;
  readonly userBits: 32 | 64;
  readonly jit: string | null;
  readonly lsm: readonly string[];
  readonly pageBytes: number;
  readonly btfDigest: string | null;
}

const PAGE_BYTES_MAX = 2 ** 30;

export function kernelGroupOf(facts: Facts): KernelGroup {
  const { kernelRelease, kernelArch, userBits, jit, lsm, btfDigest } = facts;
  // An empty build id is what a kernel without notes gives.
  const kernelBuildId = facts.kernelBuildId === '' ? null : facts.kernelBuildId;
  const pageBytes = Math.min(facts.pageBytes, PAGE_BYTES_MAX);
  const parts = [kernelRelease, kernelArch, kernelBuildId, userBits, jit, lsm, pageBytes, btfDigest];
  const id = digestOf(Buffer.from(JSON.stringify(parts)));
  return { id, kernelRelease, kernelArch, kernelBuildId, userBits, jit, lsm, pageBytes, btfDigest };
}
