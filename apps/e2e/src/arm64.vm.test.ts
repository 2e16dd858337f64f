import { afterAll, beforeAll } from '@jest/globals';
import { describeWithVm } from '@bpfleet/testkit';
import { LONG_MS, testDevice, type Expected } from './vm-device-tests.js';
import { EVERYWHERE, FROM_6_4, FROM_6_6, MODERN, WITH_BTF } from './vm-expected.js';
import { VmFleet } from './vm-fleet.js';

const ARM64 = { kernelArch: 'arm64', userBits: 64, showsBtf: true } as const;
const TARGETS: Readonly<Record<'arm64-6.12' | 'arm64-6.1' | 'arm64-5.10', Expected>> = {
  'arm64-6.12': { suite: 'trixie', ...ARM64, takes: [...MODERN, ...FROM_6_4, ...FROM_6_6] },
  'arm64-6.1': { suite: 'bookworm', ...ARM64, takes: MODERN },
  'arm64-5.10': { suite: 'bullseye', ...ARM64, takes: [...EVERYWHERE, ...WITH_BTF, 'state_before_5_14'] },
};

const fleet = new VmFleet();
beforeAll(() => fleet.start(['arm64']), LONG_MS);
afterAll(() => fleet.stop(), LONG_MS);

for (const target of ['arm64-6.12', 'arm64-6.1', 'arm64-5.10'] as const)
  await describeWithVm(target, 'a device of the field', () => testDevice(fleet, target, TARGETS[target]));
