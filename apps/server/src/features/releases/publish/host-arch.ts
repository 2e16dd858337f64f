import type { ProbeArch } from '../../../verify/index.js';

/** This host's architecture in the words of a release; undefined where no device is like it. */
export function hostArch(): ProbeArch | undefined {
  const known: Partial<Record<NodeJS.Architecture, ProbeArch>> = { x64: 'x86_64', arm64: 'arm64', arm: 'arm' };
  return known[process.arch];
}

/** What `uname -m` says, in the words of a release: facts of devices and verdicts of kernels must compare equal. */
export function archOfMachine(machine: string): string {
  if (machine === 'aarch64') return 'arm64';
  return /^arm(v[5-8]\w*)?$/.test(machine) ? 'arm' : machine;
}
