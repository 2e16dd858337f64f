import { accessSync, constants, existsSync } from 'node:fs';
import { join } from 'node:path';

/**
 * A Debian package and the sign by which its contents are recognised: asking for the thing itself, not for the package
 * manager's opinion, works on every distribution and takes no time.
 * `for`: what alone needs it; without it the build does. Tests boot VMs too.
 * @typedef {{ package: string, program?: string, file?: string, for?: 'tests' | 'vms' }} Requirement
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
  { package: 'pahole', program: 'pahole', for: 'tests' },
  { package: 'mosquitto', program: 'mosquitto', for: 'tests' },
  { package: 'busybox', program: 'busybox', for: 'tests' },
  { package: 'chromium', program: 'chromium', for: 'tests' },
  { package: 'qemu-system-arm', program: 'qemu-system-aarch64', for: 'vms' },
  { package: 'xz-utils', program: 'xz', for: 'vms' },
  { package: 'e2fsprogs', program: 'mkfs.ext4', for: 'vms' },
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
 * @param {{ tests: boolean, vms: boolean }} options
 * @returns {Requirement[]}
 */
export function missingRequirements({ tests, vms }) {
  return requirements.filter((one) => {
    if (one.for !== undefined && !tests && !(one.for === 'vms' && vms)) return false;
    return one.program ? findProgram(one.program) === undefined : !existsSync(/** @type {string} */ (one.file));
  });
}
