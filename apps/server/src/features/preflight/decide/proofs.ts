import type { PreflightProof } from '@bpfleet/api';
import { kernelSeries } from '@bpfleet/probe';
import type { KernelFacts, Proof } from './facts.js';

export type Closeness = PreflightProof['closeness'];

/** What was asked of kernels like this one. */
export interface Nearest {
  /** The word of this very kernel: its group's, else that of the same build. What it refuses is refused. */
  readonly exact: { readonly closeness: Closeness; readonly proof: Proof } | undefined;
  /** Of the same release series, architecture, user land and JIT state; the newest first. */
  readonly series: readonly Proof[];
}

/** A word that is none (a lab that could not say) gives way to one of a kernel that is less near. */
export function nearest(kernel: KernelFacts, proofs: readonly Proof[]): Nearest {
  const newestFirst = [...proofs].sort((a, b) => b.at.getTime() - a.at.getTime());
  const group = newestFirst.filter(({ groupId }) => groupId !== null && groupId === kernel.id);
  const build = newestFirst.filter((proof) => proof.groupId !== kernel.id && isSameBuild(kernel, proof));
  const exact = [
    ...group.map((proof) => ({ closeness: 'same_group' as const, proof })),
    ...build.map((proof) => ({ closeness: 'same_build' as const, proof })),
  ];
  return {
    exact: exact.find(({ proof }) => proof.verdict !== 'unknown') ?? exact[0],
    series: newestFirst.filter((proof) => isSameSeries(kernel, proof)),
  };
}

/** The build id names a kernel exactly, and how it was started decides the rest. */
function isSameBuild(kernel: KernelFacts, proof: Proof): boolean {
  if (kernel.kernelBuildId === null || proof.kernelBuildId !== kernel.kernelBuildId) return false;
  return isSameMachine(kernel, proof) && (proof.lsm === undefined || sameList(proof.lsm, kernel.lsm));
}

function isSameSeries(kernel: KernelFacts, proof: Proof): boolean {
  const [mine, its] = [kernelSeries(kernel.kernelRelease), kernelSeries(proof.kernelRelease)];
  if (mine === undefined || its === undefined) return false;
  return mine.major === its.major && mine.minor === its.minor && isSameMachine(kernel, proof);
}

function isSameMachine(kernel: KernelFacts, proof: Proof): boolean {
  return (
    proof.kernelArch === kernel.kernelArch &&
    proof.userBits === kernel.userBits &&
    // Of the server's kernel the JIT is not noted; it is on wherever nobody turned it off.
    (proof.jit === undefined ? kernel.jit !== 'off' : proof.jit === kernel.jit)
  );
}

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((one, index) => one === b[index]);
}
