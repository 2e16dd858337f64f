// Compiles for the processors that devices have, on any of them, against an old C library. clang is a cross compiler by nature;
// what it lacks is the target's C and C++ libraries, which come from Debian 11: the oldest suite that the mirrors still carry.
// A distribution's own cross compiler would do for the processor but not for the age: its libgcc asks for glibc 2.35.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fetchPinned } from './debian-apt.mjs';
import { cacheFolder } from './pinned-sources.mjs';

const SUITE = 'bullseye';

/**
 * @typedef {object} Target
 * @property {string} folder as Node names platform and processor
 * @property {string} debian Debian's name of the architecture
 * @property {string} triple
 * @property {string[]} flags
 * @property {string} machine as readelf names it
 * @property {Record<string, string>} packages file → SHA-256
 */

/** @type {Record<'x64' | 'arm64' | 'armv7', Target>} */
export const TARGETS = {
  x64: {
    folder: 'linux-x64',
    debian: 'amd64',
    triple: 'x86_64-linux-gnu',
    flags: [],
    machine: 'Advanced Micro Devices X86-64',
    packages: {
      'libc6-dev_2.31-13+deb11u11_amd64.deb': 'e7f7b45d9c5cfcf37609f0b6efd3c645272c812144703af89dfd32218fcb0fd3',
      'libc6_2.31-13+deb11u11_amd64.deb': '05f7264da867b37f4c5ce49266b558ea1e81e05a9464f623152fca70f3550282',
      'libgcc-10-dev_10.2.1-6_amd64.deb': '3b711374092b84e732c4e73cf33e02cff02e34a5f105eb6467de8d9038e4cd9d',
      'libstdc++-10-dev_10.2.1-6_amd64.deb': '20b1f56863dcc5f187d6cb53b2aa6149bd013be4ec67e10c2c31a22fda619a01',
      'linux-libc-dev_5.10.223-1_amd64.deb': 'e3be603bd12377bb90fcfb0f2048ca3a81c886e49d6f09945b82159d1c54f7b2',
    },
  },
  arm64: {
    folder: 'linux-arm64',
    debian: 'arm64',
    triple: 'aarch64-linux-gnu',
    flags: [],
    machine: 'AArch64',
    packages: {
      'libc6-dev_2.31-13+deb11u11_arm64.deb': '28d478134722dcd4b0bd2045a199301d18713bf95947b9fce66634e7aeacab2e',
      'libc6_2.31-13+deb11u11_arm64.deb': 'baaa9aa184e2f21738c5819055e6740cc5b22f198e3f416e33f82b40ff6933d8',
      'libgcc-10-dev_10.2.1-6_arm64.deb': '80fc73d339ada2e194175afe83cd89014565242153b6e3c2128849d8817da367',
      'libstdc++-10-dev_10.2.1-6_arm64.deb': 'cee7ca63613b50a8a51cc670db385c7e6d1181b72c94148fc8b7992e4570782d',
      'linux-libc-dev_5.10.223-1_arm64.deb': '8b6374a64412d33eac61d74f77b8f932da4b8a707ea8a614791e2a35b8917618',
    },
  },
  armv7: {
    folder: 'linux-arm',
    debian: 'armhf',
    triple: 'arm-linux-gnueabihf',
    // What Debian's armhf asks of a processor.
    flags: ['-march=armv7-a', '-mfpu=vfpv3-d16', '-mfloat-abi=hard'],
    machine: 'ARM',
    packages: {
      'libc6-dev_2.31-13+deb11u11_armhf.deb': 'df0dba727d08f98e4fc187fdad0ed2158b3c14507a1b765a03aec25e423fe151',
      'libc6_2.31-13+deb11u11_armhf.deb': '2b8a57429fd1999ae15c144a09a37a2c37a02ec1c5a5e07eded65455934e3b08',
      'libgcc-10-dev_10.2.1-6_armhf.deb': '74061bfde97be2c26b160cc81292ea58e3867023aa239abc8f35fed585d9c290',
      'libstdc++-10-dev_10.2.1-6_armhf.deb': 'c00e1a23851ebcb64b8d31e309e32399b1132cc7ba8eb55e8fed1c842c65beca',
      'linux-libc-dev_5.10.223-1_armhf.deb': 'fd207920cfa0e0322f4b6b1428883ba1f7b4018a086ac61caab1c2957e1e32bc',
    },
  },
};

/**
 * A toolchain for a device's processor; throws an Error of one sentence where clang, lld or apt are missing.
 * @param {keyof typeof TARGETS} arch
 * @returns {import('./static-libraries.mjs').Toolchain & { cxx: string[], link: string[], sysroot: string }} `link` is what the
 *   compilers want besides when they link: lld, and no libgcc that a device would have to have
 */
export function crossToolchain(arch) {
  const missing = ['clang', 'clang++', 'ld.lld', 'llvm-ar', 'readelf'].filter((program) => !runs(program));
  if (missing.length > 0) {
    throw new Error(`${missing.join(', ')} not found; on Debian: apt-get install clang lld llvm binutils`);
  }
  const { triple, flags } = TARGETS[arch];
  const sysroot = sysrootFor(arch);
  const chosen = [`--target=${triple}`, `--sysroot=${sysroot}`, ...flags];
  return {
    name: `${arch}-device`,
    cc: ['clang', ...chosen],
    cxx: ['clang++', ...chosen],
    link: ['-fuse-ld=lld', '-static-libgcc'],
    ar: 'llvm-ar',
    sysroot,
  };
}

function runs(program) {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** The folder that stands for `/` of the target when something is compiled for it; made where the cache has none. */
function sysrootFor(arch) {
  const { debian, packages } = TARGETS[arch];
  const fingerprint = createHash('sha256').update(JSON.stringify(packages)).digest('hex').slice(0, 12);
  const folder = join(cacheFolder, `sysroot-${arch}-${fingerprint}`);
  if (existsSync(folder)) return folder;
  const pins = Object.entries(packages).map(([file, sha256]) => ({ name: file.replace(/_.*/, ''), file, sha256 }));
  const files = fetchPinned(pins, { suite: SUITE, architecture: debian, into: join(cacheFolder, 'packages') });
  mkdirSync(cacheFolder, { recursive: true });
  const work = mkdtempSync(join(cacheFolder, '.sysroot-'));
  try {
    for (const file of files) execFileSync('dpkg-deb', ['-x', file, work]);
    keepLinksInside(work);
    if (!existsSync(folder)) renameSync(work, folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return folder;
}

/**
 * Packages hold absolute links (`libpthread.so` → `/lib/…`), which lead out of the sysroot. A linker that finds such a library
 * dangling takes the static one, which is no part for a shared object, without a word.
 */
function keepLinksInside(root) {
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isSymbolicLink()) continue;
    const path = join(entry.parentPath ?? entry.path, entry.name);
    const target = readlinkSync(path);
    if (!target.startsWith('/')) continue;
    rmSync(path);
    symlinkSync(relative(dirname(path), join(root, target)), path);
  }
}
