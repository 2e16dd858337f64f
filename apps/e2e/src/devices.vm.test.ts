import { afterAll, beforeAll } from '@jest/globals';
import { describeWithVm } from '@bpfleet/testkit';
import type { VmTarget } from '@bpfleet/vm';
import { LONG_MS, testDevice, type Expected } from './vm-device-tests.js';
import { EVERYWHERE, FROM_6_1, FROM_6_4, FROM_6_6, MODERN, WITH_BTF } from './vm-expected.js';
import { VmFleet } from './vm-fleet.js';

const ARM64 = { kernelArch: 'arm64', userBits: 64, showsBtf: true, pageBytes: 4096 } as const;
const RECENT = [...MODERN, ...FROM_6_4, ...FROM_6_6];
const TARGETS: Partial<Record<VmTarget, Expected>> = {
  'arm64-6.12': { suite: 'trixie', ...ARM64, takes: RECENT },
  'arm64-6.1': { suite: 'bookworm', ...ARM64, takes: MODERN },
  'arm64-5.10': { suite: 'bullseye', ...ARM64, takes: [...EVERYWHERE, ...WITH_BTF, 'state_before_5_14'] },
  // 32-bit programs, on a kernel of 64 bits and on one of 32 that shows no types.
  'arm64-6.1-compat32': { suite: 'bookworm', ...ARM64, userBits: 32, takes: MODERN },
  'armv7-6.1': {
    ...{ suite: 'bookworm', kernelArch: 'arm', userBits: 32, showsBtf: false, pageBytes: 4096 },
    // The map of user ring buffers is there; only programs that drain them need a JIT.
    takes: [...EVERYWHERE, ...FROM_6_1],
  },
  // Rings, and maps that are mapped, begin at pages: what reads them again where these are larger. The rest of it is 6.12 once more,
  // so it is tried when it is asked for: `npm run test:vm -- --target arm64-6.12-16k`.
  ...(process.env.BPFLEET_VM_TARGET === 'arm64-6.12-16k'
    ? { 'arm64-6.12-16k': { suite: 'trixie', ...ARM64, pageBytes: 16_384, takes: RECENT } }
    : {}),
};

const fleet = new VmFleet();
beforeAll(() => fleet.start(['arm64', 'armv7']), LONG_MS);
afterAll(() => fleet.stop(), LONG_MS);

const targets = Object.entries(TARGETS) as [VmTarget, Expected][];
for (const [at, [target, expected]] of targets.entries())
  await describeWithVm(target, 'a device of the field', () =>
    testDevice(fleet, target, expected, targets[at + 1]?.[0]),
  );
