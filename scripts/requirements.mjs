import { accessSync, constants, existsSync } from 'node:fs';
import { join } from 'node:path';

/**
 * A Debian package and the sign by which its contents are recognised: asking for the thing itself, not for the package
 * manager's opinion, works on every distribution and takes no time.
 * @typedef {{ package: string, program?: string, file?: string, tests?: boolean }} Requirement
 */

/** @type {readonly Requirement[]} */
export const requirements = [
  { package: 'clang', program: 'clang' },
  { package: 'llvm', program: 'llvm-strip' },
  { package: 'libbpf-dev', file: '/usr/include/bpf/libbpf.h' },
  // What unpacks and mends the sources of the libbpf that is linked into node-libbpf.
  { package: 'bzip2', program: 'bzip2' },
  { package: 'patch', program: 'patch' },
  // What links for the processors of devices.
  { package: 'lld', program: 'ld.lld' },
  { package: 'bpftool', program: 'bpftool' },
  { package: 'g++', program: 'g++' },
  { package: 'make', program: 'make' },
  { package: 'python3', program: 'python3' },
  { package: 'bubblewrap', program: 'bwrap' },
  { package: 'libcap2-bin', program: 'capsh' },
  { package: 'iproute2', program: 'ip' },
  { package: 'openssl', program: 'openssl' },
  { package: 'pahole', program: 'pahole', tests: true },
  { package: 'mosquitto', program: 'mosquitto', tests: true },
  { package: 'chromium', program: 'chromium', tests: true },
  { package: 'qemu-system-arm', program: 'qemu-system-aarch64', tests: true },
  { package: 'xz-utils', program: 'xz', tests: true },
  { package: 'e2fsprogs', program: 'mkfs.ext4', tests: true },
];

/** @param {string} name */
export function findProgram(name) {
  // Debian keeps some of them in sbin, which is not on everybody's path.
  for (const folder of [...(process.env.PATH ?? '').split(':'), '/usr/local/sbin', '/usr/sbin', '/sbin']) {
    if (folder === '') continue;
    try {
      accessSync(join(folder, name), constants.X_OK);
      return join(folder, name);
    } catch {
      // The next folder may have it.
    }
  }
  return undefined;
}

/**
 * @param {{ tests: boolean }} options
 * @returns {Requirement[]}
 */
export function missingRequirements({ tests }) {
  return requirements.filter((one) => {
    if (one.tests && !tests) return false;
    return one.program ? findProgram(one.program) === undefined : !existsSync(/** @type {string} */ (one.file));
  });
}
