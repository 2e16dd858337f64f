// What an addon must be to load on a machine that has a C library and Node and nothing else. A shared object may leave symbols
// open, so the linker does not complain when an archive lacks a function; the process would die at the first call of it.
import { execFileSync } from 'node:child_process';

/** glibc's own parts. Until 2.34 threads and dlopen were libraries apart from libc. */
const GLIBC = /^(libc\.so\.6|libm\.so\.6|libpthread\.so\.0|libdl\.so\.2|ld-linux[\w.-]*\.so\.\d)$/;

/**
 * @typedef {object} AddonFacts
 * @property {string} machine as readelf names it: `Advanced Micro Devices X86-64`, `AArch64`, `ARM`
 * @property {string[]} needed shared libraries
 * @property {string[]} open functions that neither Node nor a versioned library gives
 * @property {string} glibc the newest version of the C library that a symbol asks for: `2.31`
 */

/** @param {string} path @returns {AddonFacts} */
export function inspectAddon(path) {
  const text = execFileSync('readelf', ['-W', '--file-header', '--dynamic', '--dyn-syms', path], {
    encoding: 'utf8',
    maxBuffer: 16 << 20,
  });
  const symbols = [...text.matchAll(/^ *\d+: \S+ +\d+ \w+ +(GLOBAL|WEAK) +\w+ +UND (\S+)/gm)];
  const versions = [...text.matchAll(/@GLIBC_(\d+)\.(\d+)/g)].map(([, major, minor]) => [Number(major), Number(minor)]);
  versions.sort(compareVersions);
  return {
    machine: /Machine: +(.*)/.exec(text)?.[1] ?? '',
    needed: [...text.matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, library]) => library),
    open: symbols
      .filter(
        ([, binding, name]) => binding === 'GLOBAL' && !name.includes('@') && !/^(napi_|node_api_|uv_)/.test(name),
      )
      .map(([, , name]) => name),
    glibc: (versions.at(-1) ?? [0, 0]).join('.'),
  };
}

/**
 * Throws an Error of one sentence when the addon would not load, or would fail later, where it shall run.
 * @param {string} path
 * @param {{ machine?: string, glibc?: string }} wanted what a cross build promises: the processor, the oldest C library
 * @returns {AddonFacts}
 */
export function requireSoundAddon(path, wanted = {}) {
  const facts = inspectAddon(path);
  const foreign = facts.needed.filter((library) => !GLIBC.test(library));
  if (foreign.length > 0) throw new Error(`${path} needs ${foreign.join(', ')}, which devices may not have`);
  if (facts.open.length > 0) throw new Error(`${path} was linked without ${facts.open.join(', ')}`);
  if (wanted.machine !== undefined && facts.machine !== wanted.machine) {
    throw new Error(`${path} is for ${facts.machine}, not for ${wanted.machine}`);
  }
  if (wanted.glibc !== undefined && compareVersions(parts(facts.glibc), parts(wanted.glibc)) > 0) {
    throw new Error(`${path} needs glibc ${facts.glibc}; ${wanted.glibc} is the oldest that it promises to run with`);
  }
  return facts;
}

function parts(version) {
  return version.split('.').map(Number);
}

function compareVersions([majorA, minorA], [majorB, minorB]) {
  return majorA - majorB || minorA - minorB;
}
