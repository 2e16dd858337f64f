import type { describe as jestDescribe } from '@jest/globals';
import { missingForVm, type VmTarget } from '@bpfleet/vm';

/**
 * `describe` for tests that boot a kernel. Fetches first what the target is made of, so a test file awaits it at its top level;
 * where that cannot be had, every test inside is skipped and the title says what is missing.
 */
export async function describeWithVm(target: VmTarget, name: string, tests: () => void): Promise<void> {
  // The global and not the module: `@jest/globals` throws when it is imported outside of jest, and scripts import this too.
  const { describe } = globalThis as unknown as { describe: typeof jestDescribe };
  const missing = await missingForVm(target);
  if (missing === undefined) describe(`${target}: ${name}`, tests);
  else describe.skip(`${target}: ${name} [needs ${missing}]`, tests);
}
