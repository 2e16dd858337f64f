// Tests run from the TypeScript sources: every workspace import is mapped to the library's src/index.ts, so a test never
// sees a stale build. The native addon and the BPF compiler are the two things a test needs built (`npm run build`).
// Tests that boot kernels take minutes each: `npm run test:vm` runs all of them, `npm test` only the devices, from the
// installation to a reboot, and beside them the attach types of one kernel, of which hosts often lack some.
const vmTests = process.env.BPFLEET_VM_TESTS;
const TESTS = {
  all: ['<rootDir>/libs/**/*.vm.test.ts', '<rootDir>/apps/**/*.vm.test.ts'],
  devices: ['<rootDir>/apps/e2e/src/*.vm.test.ts', '<rootDir>/libs/node-libbpf/src/attach-types.vm.test.ts'],
};
const isVmRun = vmTests !== undefined;

export default {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  testMatch: isVmRun ? TESTS[vmTests] : ['<rootDir>/libs/**/*.test.ts', '<rootDir>/apps/**/*.test.ts'],
  testPathIgnorePatterns: ['/node_modules/', '/dist/', '/dist-types/', ...(isVmRun ? [] : ['\\.vm\\.test\\.ts$'])],
  modulePathIgnorePatterns: ['/dist/', '/dist-types/'],
  moduleNameMapper: {
    '^@bpfleet/([a-z-]+)$': '<rootDir>/libs/$1/src/index.ts',
    '^(\\.{1,2}/.*)\\.js$': '$1',
  },
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: {
          target: 'es2022',
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: true },
        },
        module: { type: 'es6' },
      },
    ],
  },
  globalSetup: '<rootDir>/libs/testkit/src/jest/global-setup.mjs',
  globalTeardown: '<rootDir>/libs/testkit/src/jest/global-teardown.mjs',
  testTimeout: 60_000,
  // The second worker's VMs run in the background (libs/vm): a CPU that is not emulated in time takes no samples, and with two
  // VMs of equal right a third of a device's profile was missing.
  maxWorkers: 2,
  ...(isVmRun ? { testSequencer: '<rootDir>/libs/testkit/src/jest/devices-first.mjs' } : {}),
};
