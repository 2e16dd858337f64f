import { afterAll, beforeAll } from '@jest/globals';
import { describeWithVm } from '@bpfleet/testkit';
import { LONG_MS, testDevice, type Expected } from './vm-device-tests.js';
import { EVERYWHERE, FROM_6_1, MODERN } from './vm-expected.js';
import { VmFleet } from './vm-fleet.js';

/** 32-bit programs, on a kernel of 64 bits and on one of 32 that shows no types. */
const TARGETS: Readonly<Record<'arm64-6.1-compat32' | 'armv7-6.1', Expected>> = {
  'arm64-6.1-compat32': { suite: 'bookworm', kernelArch: 'arm64', userBits: 32, showsBtf: true, takes: MODERN },
  'armv7-6.1': {
    ...{ suite: 'bookworm', kernelArch: 'arm', userBits: 32, showsBtf: false },
    // The map of user ring buffers is there; only programs that drain them need a JIT.
    takes: [...EVERYWHERE, ...FROM_6_1],
  },
};

const fleet = new VmFleet();
beforeAll(() => fleet.start(['armv7']), LONG_MS);
afterAll(() => fleet.stop(), LONG_MS);

for (const target of ['arm64-6.1-compat32', 'armv7-6.1'] as const)
  await describeWithVm(target, 'a device of the field', () => testDevice(fleet, target, TARGETS[target]));
