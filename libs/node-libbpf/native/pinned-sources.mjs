// Which libbpf, libelf and zlib this package is made of: one version for every machine and architecture, from Debian's stable
// suite, where they stay. The digests are those of the upstream archives as Debian publishes them.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fetchPinned, hasApt } from './debian-apt.mjs';

export const packageFolder = dirname(dirname(fileURLToPath(import.meta.url)));
const repositoryFolder = join(packageFolder, '../..');

/** Of the repository where the package lies in it, so that its checkouts share one; else the package's own. */
export const cacheFolder = join(
  existsSync(join(repositoryFolder, 'scripts/bootstrap.mjs')) ? repositoryFolder : packageFolder,
  '.cache/native',
);

/** @typedef {import('./debian-apt.mjs').Pin & { version: string, suite: string }} SourcePin */

/** @type {SourcePin} */
export const LIBBPF = {
  name: 'libbpf',
  version: '1.5.0',
  suite: 'trixie',
  file: 'libbpf_1.5.0.orig.tar.gz',
  sha256: '53492aff6dd47e4da04ef5e672d753b9743848bdb38e9d90eafbe190b7983c44',
};
/** @type {SourcePin} */
export const ELFUTILS = {
  name: 'elfutils',
  version: '0.192',
  suite: 'trixie',
  file: 'elfutils_0.192.orig.tar.bz2',
  sha256: '616099beae24aba11f9b63d86ca6cc8d566d968b802391334c91df54eab416b4',
};
/** @type {SourcePin} */
export const ZLIB = {
  name: 'zlib',
  version: '1.3.1',
  suite: 'trixie',
  file: 'zlib_1.3.dfsg+really1.3.1.orig.tar.gz',
  sha256: '60dd315c07f616887caa029408308a018ace66e3d142726a97db164b3b8f69fb',
};

const into = join(cacheFolder, 'sources');

/** Whether the sources are in the cache, or apt is there to fetch them. */
export function sourcesAreWithinReach() {
  return hasApt() || [LIBBPF, ELFUTILS, ZLIB].every(({ file }) => existsSync(join(into, file)));
}

/**
 * The archives, fetched where the cache has none. Anyone may put the files there by hand instead. Throws when Debian has
 * others, or cannot be reached.
 * @param {readonly SourcePin[]} pins
 */
export function fetchSources(pins) {
  for (const suite of new Set(pins.map((pin) => pin.suite))) {
    fetchPinned(
      pins.filter((pin) => pin.suite === suite),
      { suite, into },
    );
  }
  return pins.map(({ file }) => join(into, file));
}
