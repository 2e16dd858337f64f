import { expect, it } from '@jest/globals';
import { requireFeatures } from './kernel-gate.js';

it('refuses what a probe requires and the kernel is known to lack, by name', () => {
  expect(() => requireFeatures(['ringbuf', 'xdp', 'tcx'], ['tcx', 'netkit', 'xdp'])).toThrow(
    expect.objectContaining({
      code: 'FEATURE_MISSING',
      message: 'this kernel lacks xdp, tcx, which the probe requires',
    }),
  );
});

it('tries what the kernel did not tell', () => {
  for (const lacks of [[], undefined, ['netkit']]) expect(() => requireFeatures(['tcx'], lacks)).not.toThrow();
});
