import { AgentError } from '../agent-error.js';
import type { Kernel } from './port.js';

/** For `--no-kernel`: everything but the kernel works, and every run says why it does not. */
export function noKernel(cpus: number): Kernel {
  return {
    cpus,
    features: [],
    lacks: [],
    load: () => {
      throw new AgentError('KERNEL_DISABLED', 'this agent was started with --no-kernel and loads nothing');
    },
    adopt: () => undefined,
    pinnedRuns: () => [],
    removePins: () => undefined,
    measure: () => false,
    readSymbols: () => Promise.resolve({ nameOf: () => undefined }),
    returnFreedMemory: () => undefined,
    close: () => undefined,
  };
}
