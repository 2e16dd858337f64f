// Debian packages and sources of any suite and architecture, through apt, without touching the host's own apt: each use has a
// state folder, and what it brings is compared with a digest that stands in this repository.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** Whether this is a machine of the Debian family. */
export function hasApt() {
  return spawnSync('apt-get', ['--version'], { stdio: 'ignore' }).status === 0;
}

/** Where this machine's apt gets Debian from; DEBIAN_MIRROR overrides it. Suites other than its own lie on the same mirror. */
export function debianMirror() {
  if (process.env['DEBIAN_MIRROR']) return process.env['DEBIAN_MIRROR'];
  const targets = ['indextargets', '--format', '$(REPO_URI)', 'Created-By: Packages'];
  const found = execFileSync('apt-get', targets, { encoding: 'utf8' })
    .split('\n')
    .find((uri) => /\/debian\/?$/.test(uri));
  if (!found) throw new Error('apt names no Debian mirror on this machine: set DEBIAN_MIRROR to one');
  return found.replace(/\/$/, '');
}

/**
 * apt for one suite with its state in `folder`, where it also downloads to. The result runs one command (`update`,
 * `download`, `source`, `show`) and returns its output; it throws when apt fails.
 * @param {{ folder: string, suite: string, architecture?: string, sources?: boolean }} options
 *   `architecture`: Debian's name, the host's when left out; `sources`: source packages instead of binary ones.
 * @returns {(command: string, ...rest: string[]) => string}
 */
export function aptFor({ folder, suite, architecture, sources = false }) {
  for (const name of ['lists/partial', 'cache/archives/partial', 'sources']) {
    mkdirSync(join(folder, name), { recursive: true });
  }
  writeFileSync(
    join(folder, 'sources/debian.sources'),
    `Types: ${sources ? 'deb-src' : 'deb'}\nURIs: ${debianMirror()}\nSuites: ${suite}\nComponents: main\nSigned-By: ${KEYRING}\n`,
  );
  const options = {
    ...(architecture === undefined ? {} : { 'APT::Architecture': architecture, 'APT::Architectures': architecture }),
    'Dir::Etc::SourceList': '/dev/null',
    'Dir::Etc::SourceParts': join(folder, 'sources'),
    'Dir::State::Lists': join(folder, 'lists'),
    'Dir::State::status': '/dev/null',
    'Dir::Cache': join(folder, 'cache'),
    'Acquire::Languages': 'none',
    'APT::Sandbox::User': 'root',
  };
  const flags = Object.entries(options).map(([key, value]) => `-o${key}=${value}`);
  return (command, ...rest) =>
    execFileSync(command === 'show' ? 'apt-cache' : 'apt-get', [...flags, '-qq', command, ...rest], {
      cwd: folder,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    });
}

/**
 * What Debian publishes, by its digest.
 * @typedef {object} Pin
 * @property {string} name of the package
 * @property {string} file as Debian names it: the `.orig.tar.*` of a source package, the `.deb` of a binary one
 * @property {string} sha256 of that file
 */

/**
 * Brings pinned files of one suite into `into`; those that are there already, with the right digest, cost nothing. Throws an
 * Error of one sentence when a file is another than the pinned one, or when there is no apt to fetch it with.
 * @param {readonly Pin[]} pins
 * @param {{ suite: string, architecture?: string, into: string }} options `architecture` of binary packages; none for sources.
 * @returns {string[]} the files' paths, in the order of the pins
 */
export function fetchPinned(pins, { suite, architecture, into }) {
  mkdirSync(into, { recursive: true });
  /** @param {Pin} pin */
  const path = (pin) => join(into, pin.file);
  const missing = pins.filter((pin) => !existsSync(path(pin)));
  if (missing.length > 0) {
    // In the same file system, so that a file appears in its place whole or not at all.
    const folder = mkdtempSync(join(into, '.apt-'));
    try {
      download(missing, { folder, suite, architecture });
      for (const pin of missing) {
        requireDigest(join(folder, pin.file), pin);
        renameSync(join(folder, pin.file), path(pin));
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
  for (const pin of pins) requireDigest(path(pin), pin);
  return pins.map(path);
}

/**
 * @param {readonly Pin[]} pins
 * @param {{ folder: string, suite: string, architecture?: string }} options
 */
function download(pins, { folder, suite, architecture }) {
  const sources = architecture === undefined;
  const apt = aptFor({ folder, suite, architecture, sources });
  apt('update');
  const names = pins.map((pin) => pin.name);
  if (sources) apt('source', '--download-only', '--tar-only', ...names);
  else apt('download', ...names);
  const absent = pins.filter((pin) => !existsSync(join(folder, pin.file)));
  if (absent.length > 0) {
    const found = readdirSync(folder).filter((file) => /\.(deb|tar\.\w+)$/.test(file));
    throw new Error(`Debian ${suite} gave ${found.join(', ')}, not ${absent.map((pin) => pin.file).join(', ')}`);
  }
}

/**
 * @param {string} path
 * @param {Pin} pin
 */
function requireDigest(path, pin) {
  const digest = createHash('sha256').update(readFileSync(path)).digest('hex');
  if (digest !== pin.sha256) throw new Error(`${basename(path)} has the digest ${digest}, not ${pin.sha256}`);
}
