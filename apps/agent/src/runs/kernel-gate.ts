import { isBeforeOldestTested, OLDEST_TESTED_KERNEL } from '@bpfleet/probe';
import { AgentError } from '../agent-error.js';

const oldest = `${OLDEST_TESTED_KERNEL.major}.${OLDEST_TESTED_KERNEL.minor}`;

/** Why nothing is loaded on this kernel, if it is older than the oldest one that tests run on. */
export function tooOldKernel(release: string): string | undefined {
  if (!isBeforeOldestTested(release)) return undefined;
  return `this device runs Linux ${release}, and probes are tested from ${oldest} on: move it to a newer kernel`;
}

/**
 * What is known of kernels before the oldest tested one is hope, so nothing is even fetched for them.
 * @throws AgentError KERNEL_TOO_OLD
 */
export function requireTestedKernel(release: string): void {
  const why = tooOldKernel(release);
  if (why !== undefined) throw new AgentError('KERNEL_TOO_OLD', why, { kernelRelease: release, oldest });
}

/**
 * A probe says what it requires where its programs do not show it. What the kernel did not tell is tried.
 * @throws AgentError FEATURE_MISSING
 */
export function requireFeatures(required: readonly string[], lacks: readonly string[] = []): void {
  const missing = required.filter((feature) => lacks.includes(feature));
  if (missing.length === 0) return;
  const names = missing.join(', ');
  throw new AgentError('FEATURE_MISSING', `this kernel lacks ${names}, which the probe requires`, { missing: names });
}
