import type { Facts } from '@bpfleet/wire';
import { kernelGroupOf } from '../kernels/groups/index.js';
import type { FeatureFacts, KernelFacts, MachineFacts } from './decide/facts.js';
import { showsBtf, type AskedKernel } from './verdict-reader.js';

export function kernelFactsOf(facts: Facts): KernelFacts {
  const { btfDigest, ...group } = kernelGroupOf(facts);
  return { ...group, showsBtf: btfDigest !== null };
}

export function askedFactsOf(kernel: AskedKernel): KernelFacts {
  const { id, kernelRelease, kernelArch, kernelBuildId, userBits, jit, lsm, pageBytes } = kernel;
  return { id, kernelRelease, kernelArch, kernelBuildId, userBits, jit, lsm, pageBytes, showsBtf: showsBtf(kernel) };
}

export function featureFactsOf({ features, lacks }: Facts): FeatureFacts {
  return { features, lacks };
}

export function machineFactsOf({ cpus, possibleCpus, memoryBytes, understands }: Facts): MachineFacts {
  return { cpus, possibleCpus, memoryBytes, takesAddenda: understands?.includes('addendum') === true };
}
